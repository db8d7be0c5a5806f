/*
 * Loaded before libc into user-mode Linux on processors with AMX.
 *
 * User-mode Linux sets its processes' registers by PTRACE_SETREGSET(NT_X86_XSTATE) with the 2,696 bytes it knows of.
 * The host takes nothing less than the whole state, which AMX makes 8 KiB longer, and user-mode Linux gives up. Here the
 * whole state is read first, and what user-mode Linux knows is laid over its beginning.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202
#define PRESENT_AT 512             /* which components the state holds, a bit each */
#define KNOWN_COMPONENTS 0x1ffffUL /* AMX is 17 and 18 */

/* not on the stack, which has two pages here; one thread does all the ptracing */
static char whole[64 * 1024] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...) {
  static long (*original)(enum __ptrace_request, ...);
  va_list arguments;
  va_start(arguments, request);
  long pid = va_arg(arguments, long);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);
  if (!original) original = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");

  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
    struct iovec *known = data;
    struct iovec state = {whole, sizeof whole};
    if (original(PTRACE_GETREGSET, pid, address, &state) == 0 && state.iov_len > known->iov_len) {
      uint64_t before, now;
      memcpy(&before, whole + PRESENT_AT, sizeof before);
      memcpy(whole, known->iov_base, known->iov_len);
      memcpy(&now, whole + PRESENT_AT, sizeof now);
      now = (now & KNOWN_COMPONENTS) | (before & ~KNOWN_COMPONENTS);
      memcpy(whole + PRESENT_AT, &now, sizeof now);
      return original(request, pid, address, &state);
    }
  }
  return original(request, pid, address, data);
}
