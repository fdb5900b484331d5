/*
 * Lets user-mode-linux run on processors whose extended state is larger than it knows (AMX: 11,008 bytes against 2,696).
 *
 * The guest saves and restores the floating point registers of its processes by ptrace(2). A host kernel gives as much as fits
 * into the buffer, but takes nothing less than the whole: PTRACE_SETREGSET of NT_X86_XSTATE fails with EFAULT, and the guest
 * dies before its first process runs. This library stands before libc's ptrace (LD_PRELOAD) and fills up what is missing
 * with what the process has: state that nothing in the guest uses.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long set_xstate(pid_t pid, void *type, struct iovec *part)
{
	static char area[1 << 16]; /* the guest's kernel has one thread */
	struct iovec whole = { area, sizeof area };

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, type, &whole) < 0 || part->iov_len >= whole.iov_len)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, part);
	memcpy(area, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, &whole);
}

/* Like that of libc: what is peeked is returned, where the system call stores it. */
long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	va_start(args, request);
	pid_t pid = va_arg(args, pid_t);
	void *addr = va_arg(args, void *);
	void *data = va_arg(args, void *);
	va_end(args);

	switch (request) {
	case PTRACE_SETREGSET:
		if ((long)addr == NT_X86_XSTATE)
			return set_xstate(pid, addr, data);
		break;
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
	case PTRACE_PEEKUSER: {
		long word;
		if (syscall(SYS_ptrace, request, pid, addr, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	default:
		break;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
