// What slices.inl asks of a `Vector` without three-input logic, made of logic of two.

inline Vector parity(Vector a, Vector b, Vector c) { return exclusive(exclusive(a, b), c); }

inline Vector masked_difference(Vector a, Vector b, Vector mask) {
  return both(exclusive(a, b), mask);
}

// low + a + b, the carry to the result.
RLC_INLINE Vector add(Vector& low, Vector a, Vector b) {
  const Vector differ = exclusive(a, b);
  const Vector carry = select(differ, low, a);
  low = exclusive(low, differ);
  return carry;
}

// The majorities of three, each of them turned around where the place in the table has a bit.
inline void majorities(Vector a, Vector b, Vector c, std::uint64_t* table) {
  const Vector ab = exclusive(a, b), ac = exclusive(a, c);
  const Vector ones = spread(~std::uint64_t{0});
  const auto put = [table, ones](std::size_t place, Vector found) {
    store(table + place * kPlaneWords, found);
    store(table + (7 - place) * kPlaneWords, exclusive(found, ones));
  };
  put(0, exclusive(a, both(ab, ac)));
  put(1, exclusive(a, either(ab, ac)));
  put(2, exclusive(a, without(ac, ab)));
  put(4, exclusive(a, without(ab, ac)));
}
