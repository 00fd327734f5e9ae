// Sets the clock of the program that it is preloaded into: ahead of the machine's by
// as many seconds as the file says that the environment variable CLOCK names, a 64-bit
// integer that may change at any time. How much time passes stays as it is. (libfaketime
// would do, but calls itself without end in a redis-server built with jemalloc.)
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t none, *ahead = &none;

__attribute__((constructor)) static void map(void) {
	const char *file = getenv("CLOCK");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped = fd < 0 ? MAP_FAILED : mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) abort();
	ahead = mapped;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	struct timespec t;
	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
	now->tv_sec = t.tv_sec + *ahead;
	now->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *now) {
	struct timeval t;
	gettimeofday(&t, 0);
	if (now) *now = t.tv_sec;
	return t.tv_sec;
}
