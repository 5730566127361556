/* What goes wrong below a program: its wall clock jumps, its disk fails. It is loaded before the C library (LD_PRELOAD), and
   does what the file that HOLDFAST_ORDERS names says at the moment: four numbers of 64 bits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct orders {
  int64_t jump_s; /* the wall clock is off by so much */
  int64_t write;  /* files cannot be written: this errno, if not 0 */
  int64_t sync;   /* nor synced */
  int64_t rename; /* nor renamed */
};

static volatile struct orders none, *orders = &none;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("HOLDFAST_ORDERS");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return;
  void *mapped = mmap(0, sizeof none, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED)
    orders = mapped;
}

static int fails(int64_t error) {
  if (error)
    errno = (int)error;
  return error != 0;
}

static int is_file(int file) {
  struct stat found;
  return fstat(file, &found) == 0 && S_ISREG(found.st_mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (!failed && clock == CLOCK_REALTIME)
    now->tv_sec += orders->jump_s;
  return (int)failed;
}

ssize_t write(int file, const void *octets, size_t count) {
  if (orders->write && is_file(file) && fails(orders->write))
    return -1;
  return syscall(SYS_write, file, octets, count);
}

ssize_t pwrite64(int file, const void *octets, size_t count, off64_t at) {
  if (orders->write && is_file(file) && fails(orders->write))
    return -1;
  return syscall(SYS_pwrite64, file, octets, count, at);
}

int fsync(int file) {
  return fails(orders->sync) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
  return fails(orders->sync) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int rename(const char *from, const char *to) {
  return fails(orders->rename) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
