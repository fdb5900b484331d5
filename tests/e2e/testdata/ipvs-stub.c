// A library for LD_PRELOAD that lets keepalived's health checker run where the kernel has no IPVS: the socket options of
// ip_vs.h (IP_VS_BASE_CTL, 1152, and the 63 after it) succeed and do nothing. `make bench` compares checks, and vipward has no
// IPVS there either.
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ipvs(int level, int option)
{
	return level == 0 && option >= 1152 && option < 1152 + 64;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	if (ipvs(level, option))
		return 0;
	return syscall(SYS_setsockopt, fd, level, option, value, size);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	if (ipvs(level, option)) {
		memset(value, 0, *size);
		return 0;
	}
	return syscall(SYS_getsockopt, fd, level, option, value, size);
}
