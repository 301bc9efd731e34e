/* Counts a process's calls that change files below one folder, and dies or fails at the k-th.
 *
 *   cc -shared -fPIC -O1 -o faults.so faults.c -ldl
 *   LD_PRELOAD=faults.so python ...      then, through ctypes, faults_arm(folder, k, action)
 *
 * Every writer in the process is seen: Python, and the C++ of TensorFlow, which writes through the C library too.
 * Data that stdio still holds is lost at a kill, as it would be.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, WRITE, SYNC, TRUNCATE, RENAME, REMOVE, MAKE, KINDS };

static char watched[4096];
static size_t watched_length;
static long at;     /* the call that is hit, counted from 1; 0: none */
static int action;  /* 0: only count; SIGKILL dies; otherwise -errno, from this call on */
static long total, counts[KINDS];

void faults_arm(const char *folder, long k, int what) {
  watched_length = strlen(folder);
  memcpy(watched, folder, watched_length + 1);
  at = k;
  action = what;
  total = 0;
  memset(counts, 0, sizeof counts);
}

long faults_total(void) { return total; }
long faults_count(int kind) { return counts[kind]; }

static int below(const char *path) {
  if (!watched_length || strncmp(path, watched, watched_length) != 0) return 0;
  return path[watched_length] == 0 || path[watched_length] == '/';
}

static int absolute(int folder, const char *path, char *out, size_t size) {
  if (path[0] == '/') return snprintf(out, size, "%s", path) < (int)size;
  char base[4096], link[64];
  ssize_t length;
  if (folder == AT_FDCWD) {
    if (!getcwd(base, sizeof base)) return 0;
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    length = readlink(link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
  }
  return snprintf(out, size, "%s/%s", base, path) < (int)size;
}

static int watches(int folder, const char *path) {
  char full[8192];
  return watched_length && path && absolute(folder, path, full, sizeof full) && below(full);
}

static int watches_fd(int fd) {
  char link[64], full[4096];
  if (!watched_length) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, full, sizeof full - 1);
  if (length < 0) return 0;
  full[length] = 0;
  return below(full);
}

/* What this fault would refuse: a full disk still removes, a forbidden one still writes what is open. */
static int refuses(enum kind kind) {
  if (action == -ENOSPC) return kind != REMOVE;
  if (action == -EACCES) return kind == OPEN || kind == RENAME || kind == REMOVE || kind == MAKE;
  return 1;
}

/* Returns 1 where the call has to fail; errno is set. */
static int hit(enum kind kind) {
  long number = __sync_add_and_fetch(&total, 1);
  __sync_add_and_fetch(&counts[kind], 1);
  if (!at || !action || number < at) return 0;
  if (action == SIGKILL) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (!refuses(kind)) return 0;
  errno = -action;
  return 1;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPENING(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) && watches(AT_FDCWD, path) && hit(OPEN)) return -1; \
    return real(path, flags, mode); \
  }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) && watches(folder, path) && hit(OPEN)) return -1; \
    return real(folder, path, flags, mode); \
  }
OPENING_AT(openat)
OPENING_AT(openat64)

#define STREAM(name) \
  FILE *name(const char *path, const char *mode) { \
    REAL(name); \
    if (strpbrk(mode, "wa+") && watches(AT_FDCWD, path) && hit(OPEN)) return NULL; \
    return real(path, mode); \
  }
STREAM(fopen)
STREAM(fopen64)

static int writing(FILE *stream) {
  if (!watched_length || !stream || fileno(stream) < 0) return 0;
  int flags = fcntl(fileno(stream), F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && watches_fd(fileno(stream));
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *stream) {
  REAL(fwrite);
  if (writing(stream) && hit(WRITE)) return 0;
  return real(data, size, count, stream);
}
int fflush(FILE *stream) {
  REAL(fflush);
  if (writing(stream) && hit(WRITE)) return EOF;
  return real(stream);
}
int fclose(FILE *stream) {
  REAL(fclose);
  if (writing(stream) && hit(WRITE)) {
    int reason = errno;
    real(stream);
    errno = reason;
    return EOF;
  }
  return real(stream);
}

#define ON_FD(type, name, kind, parameters, arguments) \
  type name parameters { \
    REAL(name); \
    if (watches_fd(fd) && hit(kind)) return -1; \
    return real arguments; \
  }
ON_FD(ssize_t, write, WRITE, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pwrite, WRITE, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, pwrite64, WRITE, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(ssize_t, writev, WRITE, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FD(int, fsync, SYNC, (int fd), (fd))
ON_FD(int, fdatasync, SYNC, (int fd), (fd))
ON_FD(int, ftruncate, TRUNCATE, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, TRUNCATE, (int fd, off64_t size), (fd, size))

#define ON_PATH(name, kind, folder, parameters, arguments) \
  int name parameters { \
    REAL(name); \
    if (watches(folder, path) && hit(kind)) return -1; \
    return real arguments; \
  }
ON_PATH(rename, RENAME, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(renameat, RENAME, at1, (int at1, const char *path, int at2, const char *to), (at1, path, at2, to))
ON_PATH(unlink, REMOVE, AT_FDCWD, (const char *path), (path))
ON_PATH(unlinkat, REMOVE, at1, (int at1, const char *path, int flags), (at1, path, flags))
ON_PATH(remove, REMOVE, AT_FDCWD, (const char *path), (path))
ON_PATH(rmdir, REMOVE, AT_FDCWD, (const char *path), (path))
ON_PATH(mkdir, MAKE, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, MAKE, at1, (int at1, const char *path, mode_t mode), (at1, path, mode))
