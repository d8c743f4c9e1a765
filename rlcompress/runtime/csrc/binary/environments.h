// Three control tasks with Gymnasium's equations of motion, for episodes without Python.
//
// Each has a state of doubles, an observation of floats, and `step`, which moves the state on and
// says what Gymnasium says: the reward, and whether the episode has come to its end.
#pragma once

#include <cmath>
#include <cstddef>

namespace rlcompress::bits {

struct Outcome {
  double reward;
  bool done;
};

struct CartPole {
  static constexpr const char* kName = "CartPole-v1";
  static constexpr std::size_t kState = 4, kNumbers = 4, kActions = 2;

  // x, its velocity, the angle of the pole in radians, its velocity
  static Outcome step(double* s, std::size_t action) {
    constexpr double gravity = 9.8, pole = 0.1, total = 0.1 + 1.0, length = 0.5, tau = 0.02;
    constexpr double pole_length = pole * length, force_size = 10.0;
    constexpr double most_x = 2.4, most_angle = 12 * 2 * 3.141592653589793 / 360;
    const double force = action == 1 ? force_size : -force_size;
    const double cosine = std::cos(s[2]);
    const double sine = std::sin(s[2]);
    const double temp = (force + pole_length * (s[3] * s[3]) * sine) / total;
    const double turn = (gravity * sine - cosine * temp) /
                        (length * (4.0 / 3.0 - pole * (cosine * cosine) / total));
    const double push = temp - pole_length * turn * cosine / total;
    s[0] += tau * s[1];
    s[1] += tau * push;
    s[2] += tau * s[3];
    s[3] += tau * turn;
    return {1.0, s[0] < -most_x || s[0] > most_x || s[2] < -most_angle || s[2] > most_angle};
  }
  static void observe(const double* s, float* numbers) {
    for (std::size_t i = 0; i < 4; ++i) numbers[i] = static_cast<float>(s[i]);
  }
};

struct MountainCar {
  static constexpr const char* kName = "MountainCar-v0";
  static constexpr std::size_t kState = 2, kNumbers = 2, kActions = 3;

  // position, velocity
  static Outcome step(double* s, std::size_t action) {
    constexpr double force = 0.001, gravity = 0.0025, most_speed = 0.07;
    const double push = (static_cast<double>(action) - 1.0) * force;
    double speed = s[1] + (push + std::cos(3 * s[0]) * -gravity);
    speed = speed < -most_speed ? -most_speed : speed > most_speed ? most_speed : speed;
    double place = s[0] + speed;
    place = place < -1.2 ? -1.2 : place > 0.6 ? 0.6 : place;
    if (place == -1.2 && speed < 0) speed = 0;
    s[0] = place;
    s[1] = speed;
    return {-1.0, place >= 0.5 && speed >= 0};
  }
  static void observe(const double* s, float* numbers) {
    for (std::size_t i = 0; i < 2; ++i) numbers[i] = static_cast<float>(s[i]);
  }
};

struct Acrobot {
  static constexpr const char* kName = "Acrobot-v1";
  static constexpr std::size_t kState = 4, kNumbers = 6, kActions = 3;
  static constexpr double kPi = 3.141592653589793;

  // Both links have mass and moment of inertia 1, length 1 and their centre at half of it.
  static void derive(const double* s, double torque, double* d) {
    const double inner = 0.25 + (1.0 + 0.25 + std::cos(s[1])) + 2.0;
    const double cross = 0.25 + 0.5 * std::cos(s[1]) + 1.0;
    const double phi2 = 0.5 * 9.8 * std::cos(s[0] + s[1] - kPi / 2.0);
    const double sine = std::sin(s[1]);
    const double phi1 = -0.5 * (s[3] * s[3]) * sine - s[3] * s[2] * sine +
                        1.5 * 9.8 * std::cos(s[0] - kPi / 2) + phi2;
    const double second =
        (torque + cross / inner * phi1 - 0.5 * (s[2] * s[2]) * sine - phi2) /
        (0.25 + 1.0 - cross * cross / inner);
    d[0] = s[2];
    d[1] = s[3];
    d[2] = -(cross * second + phi1) / inner;
    d[3] = second;
  }
  static double wrapped(double angle) {
    while (angle > kPi) angle -= 2 * kPi;
    while (angle < -kPi) angle += 2 * kPi;
    return angle;
  }
  static double bounded(double x, double most) { return x < -most ? -most : x > most ? most : x; }

  // Two angles, the second relative to the first, and their velocities; one step of Runge-Kutta
  static Outcome step(double* s, std::size_t action) {
    constexpr double tau = 0.2;
    const double torque = static_cast<double>(action) - 1.0;
    double k[4][4], at[4];
    derive(s, torque, k[0]);
    for (int stage = 1; stage < 4; ++stage) {
      const double step = stage == 3 ? tau : tau / 2.0;
      for (int i = 0; i < 4; ++i) at[i] = s[i] + step * k[stage - 1][i];
      derive(at, torque, k[stage]);
    }
    for (int i = 0; i < 4; ++i) {
      s[i] += tau / 6.0 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
    }
    s[0] = wrapped(s[0]);
    s[1] = wrapped(s[1]);
    s[2] = bounded(s[2], 4 * kPi);
    s[3] = bounded(s[3], 9 * kPi);
    const bool done = -std::cos(s[0]) - std::cos(s[1] + s[0]) > 1.0;
    return {done ? 0.0 : -1.0, done};
  }
  static void observe(const double* s, float* numbers) {
    numbers[0] = static_cast<float>(std::cos(s[0]));
    numbers[1] = static_cast<float>(std::sin(s[0]));
    numbers[2] = static_cast<float>(std::cos(s[1]));
    numbers[3] = static_cast<float>(std::sin(s[1]));
    numbers[4] = static_cast<float>(s[2]);
    numbers[5] = static_cast<float>(s[3]);
  }
};

}  // namespace rlcompress::bits
