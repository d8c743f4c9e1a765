/* Runs an exported policy on a bare Cortex-M as QEMU's mps2 boards emulate it, and counts.
 *
 * Prints four numbers: golden observations, how many came out wrong, instructions for all of them
 * together, bytes of stack. Under -icount shift=6 an instruction takes 64 ns of the emulated time,
 * in which the board's timer ticks every 40 ns; so instructions are ticks * 40 / 64. */
#include <stdint.h>

uint32_t policy_count(void);
int policy_golden(uint32_t index);
void policy_act(uint32_t index);

extern uint32_t stack_top[], stack_bottom[], data_begin[], data_end[], data_source[], bss_begin[],
    bss_end[];
void reset(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {stack_top,
                                                                              (const void *)reset};

static volatile uint32_t *const timer_control = (volatile uint32_t *)0x40000000;
static volatile uint32_t *const timer_value = (volatile uint32_t *)0x40000004;
static volatile uint32_t *const timer_reload = (volatile uint32_t *)0x40000008;
static volatile uint32_t *const coprocessor_access = (volatile uint32_t *)0xE000ED88;

static uint32_t semihost(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void print(uint32_t number) {
  char text[12];
  uint32_t at = sizeof text;
  text[--at] = 0;
  text[--at] = ' ';
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  semihost(0x04, text + at);
}

/* Fills the unused stack, and finds later how much of that is gone. */
static const uint32_t paint = 0xDEADBEEF;

__attribute__((noinline)) static uint32_t *fill_stack(void) {
  uint32_t *here = (uint32_t *)__builtin_frame_address(0) - 16;
  for (uint32_t *word = stack_bottom; word < here; ++word) *(volatile uint32_t *)word = paint;
  return here;
}

static uint32_t used_stack(const uint32_t *from) {
  const uint32_t *word = stack_bottom;
  while (word < from && *(const volatile uint32_t *)word == paint) ++word;
  return (uint32_t)((from - word) + 16) * 4;
}

static void report(void) {
  const uint32_t count = policy_count();
  uint32_t wrong = 0, ticks = 0;
  const uint32_t *from = fill_stack();
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t before = *timer_value;
    policy_act(i);
    ticks += before - *timer_value;
  }
  const uint32_t stack = used_stack(from);
  for (uint32_t i = 0; i < count; ++i) wrong += !policy_golden(i);
  print(count);
  print(wrong);
  print((uint32_t)((uint64_t)ticks * 40 / 64));
  print(stack);
}

void reset(void) {
  *coprocessor_access |= 0xFU << 20; /* the floating-point unit; without one this does nothing */
  __asm__ volatile("dsb\n\tisb");
  for (uint32_t *to = data_begin, *from = data_source; to < data_end;) *to++ = *from++;
  for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0;
  *timer_reload = 0xFFFFFFFF;
  *timer_value = 0xFFFFFFFF;
  *timer_control = 1;
  report();
  semihost(0x18, (const void *)0x20026);
  for (;;) {
  }
}
