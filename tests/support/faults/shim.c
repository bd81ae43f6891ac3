/* Counts the file-system calls that a process makes below one folder, and breaks one of them.

   Preloaded (LD_PRELOAD), it sees what Python, HDF5 and NetCDF ask of the C library. It does nothing until
   shim_arm() has read the environment, which it also does by itself at start where SHIM_ROOT is set:

   SHIM_ROOT     absolute path of the folder; calls on other paths are neither counted nor touched
   SHIM_LOG      file, outside of the folder, to which one line a call is appended: "PID NUMBER KIND PATH",
                 and one line a fault, before it happens: "PID fault MODE NUMBER KIND PATH"
   SHIM_MODE     none, before (SIGKILL before the call), after (SIGKILL after it), half (half of a write, then
                 SIGKILL), fail (the call fails), short (half of a write succeeds, the next call fails), delay
   SHIM_FIRST    number of the first call that is broken, from 1
   SHIM_LAST     number of the last one
   SHIM_CODE     errno of a failing call
   SHIM_COUNTED  bits of the kinds of calls that are counted, see `kinds`
   SHIM_BROKEN   bits of the kinds that are broken
   SHIM_LOW, SHIM_HIGH  least and greatest delay, in milliseconds

   Every call goes straight to the kernel, so that nothing here depends on which library was loaded first. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { LOOK, OPEN, CREATE, READ, WRITE, SYNC, CLOSE, RELEASE, FOLDER, RENAME, LINK, UNLINK, MKDIR, TRUNCATE };
static const char *const kinds[] = {"look",    "open",   "create", "read", "write",  "sync",  "close",
                                    "release", "folder", "rename", "link", "unlink", "mkdir", "truncate"};

enum { NONE, BEFORE, AFTER, HALF, FAIL, SHORT, DELAY, MODES };
static const char *const modes[] = {"none", "before", "after", "half", "fail", "short", "delay"};

static char root[PATH_MAX];
static size_t root_length;
static int log_descriptor = -1, mode, code;
static unsigned counted, broken;
static long first, last, low, high, calls;

static void note(const char *format, ...) {
    char line[2 * PATH_MAX];
    int start = snprintf(line, sizeof line, "%ld ", (long)syscall(SYS_getpid));
    va_list more;
    va_start(more, format);
    int length = vsnprintf(line + start, sizeof line - start, format, more);
    va_end(more);
    syscall(SYS_write, log_descriptor, line, start + length);
}

static void die(void) {
    syscall(SYS_kill, (pid_t)syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

void shim_disarm(void) { __atomic_store_n(&mode, NONE, __ATOMIC_SEQ_CST); }

/* Returns 0, or -1 where the environment makes no sense. */
int shim_arm(void) {
    const char *folder = getenv("SHIM_ROOT"), *log = getenv("SHIM_LOG"), *wanted = getenv("SHIM_MODE");
    root_length = 0;
    if (!folder || folder[0] != '/' || strlen(folder) >= sizeof root || !log) return -1;
    if (log_descriptor >= 0) syscall(SYS_close, log_descriptor);
    log_descriptor = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log_descriptor < 0) return -1;
    for (mode = 0; mode < MODES && strcmp(modes[mode], wanted ? wanted : "none"); mode++) continue;
    if (mode == MODES) return mode = NONE, -1;
    code = number("SHIM_CODE", EIO);
    counted = number("SHIM_COUNTED", ~0u);
    broken = number("SHIM_BROKEN", ~0u);
    first = number("SHIM_FIRST", 1);
    last = number("SHIM_LAST", first);
    low = number("SHIM_LOW", 20);
    high = number("SHIM_HIGH", 50);
    calls = 0;
    strcpy(root, folder);
    root_length = strlen(root);
    return 0;
}

__attribute__((constructor)) static void start(void) {
    if (getenv("SHIM_ROOT") && shim_arm() != 0) {
        static const char message[] = "shim: SHIM_ROOT is set, but not all that it needs\n";
        syscall(SYS_write, 2, message, sizeof message - 1);
        syscall(SYS_exit_group, 97);
    }
}

static int is_below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return 0;
}

/* How a call goes on. */
enum { PASS, REFUSE, DIE_LATER, DIE_HALFWAY, CUT };

static int meet(int kind, const char *path) {
    if (!(counted & 1u << kind)) return PASS;
    long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    const char *name = path[root_length] ? path + root_length + 1 : ".";
    note("%ld %s %s\n", n, kinds[kind], name);
    if (mode == NONE || n < first || n > last || !(broken & 1u << kind)) return PASS;
    if ((mode == HALF || (mode == SHORT && n == first)) && kind != WRITE) return PASS;
    note("fault %s %ld %s %s\n", modes[mode], n, kinds[kind], name);
    if (mode == BEFORE) die();
    if (mode == AFTER) return DIE_LATER;
    if (mode == HALF) return DIE_HALFWAY;
    if (mode == SHORT && n == first) return CUT;
    if (mode == DELAY) {
        long milliseconds = low + n * 7919 % (high - low + 1);
        struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        syscall(SYS_nanosleep, &rest, NULL);
        return PASS;
    }
    return REFUSE;
}

static int at_path(int kind, int folder, const char *path) {
    char whole[2 * PATH_MAX];
    int saved = errno, verdict = PASS;
    if (!root_length || !path) return PASS;
    if (path[0] != '/') {
        int known = folder == AT_FDCWD ? getcwd(whole, PATH_MAX) != NULL : path_of(folder, whole) == 0;
        size_t length = known ? strlen(whole) : 0;
        if (known) snprintf(whole + length, sizeof whole - length, "/%s", path);
        path = known ? whole : "";
    }
    if (is_below(path)) verdict = meet(kind, path);
    errno = verdict == REFUSE ? code : saved;
    return verdict;
}

static int at_descriptor(int kind, int descriptor) {
    char path[PATH_MAX];
    int saved = errno, verdict = PASS;
    if (!root_length || descriptor == log_descriptor) return PASS;
    if (path_of(descriptor, path) == 0 && is_below(path)) {
        int reads = (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY;
        if (kind == CLOSE && reads) kind = RELEASE;
        struct stat facts;
        if (kind == SYNC && fstat(descriptor, &facts) == 0 && S_ISDIR(facts.st_mode)) kind = FOLDER;
        verdict = meet(kind, path);
    }
    errno = verdict == REFUSE ? code : saved;
    return verdict;
}

static long finish(int verdict, long result) {
    if (verdict == DIE_LATER) die();
    return result;
}

#define PLAIN(verdict_of, call)                \
    int verdict = verdict_of;                  \
    if (verdict == REFUSE) return -1;          \
    return finish(verdict, call)

static int open_at(int folder, const char *path, int flags, mode_t rights) {
    int kind = flags & O_CREAT ? CREATE : (flags & O_ACCMODE) == O_RDONLY ? LOOK : OPEN;
    PLAIN(at_path(kind, folder, path), syscall(SYS_openat, folder, path, flags, rights));
}

#define RIGHTS(flags)                              \
    mode_t rights = 0;                             \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {       \
        va_list more;                              \
        va_start(more, flags);                     \
        rights = va_arg(more, int);                \
        va_end(more);                              \
    }

int open(const char *path, int flags, ...) {
    RIGHTS(flags)
    return open_at(AT_FDCWD, path, flags, rights);
}
int open64(const char *path, int flags, ...) {
    RIGHTS(flags)
    return open_at(AT_FDCWD, path, flags, rights);
}
int openat(int folder, const char *path, int flags, ...) {
    RIGHTS(flags)
    return open_at(folder, path, flags, rights);
}
int openat64(int folder, const char *path, int flags, ...) {
    RIGHTS(flags)
    return open_at(folder, path, flags, rights);
}
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t rights) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, rights); }
int creat64(const char *path, mode_t rights) { return creat(path, rights); }

static ssize_t write_at(int descriptor, const void *data, size_t size, int has_offset, off_t offset) {
    int verdict = at_descriptor(WRITE, descriptor);
    if (verdict == REFUSE) return -1;
    if (verdict == DIE_HALFWAY || verdict == CUT) size /= 2;
    ssize_t written = has_offset ? syscall(SYS_pwrite64, descriptor, data, size, offset)
                                 : syscall(SYS_write, descriptor, data, size);
    if (verdict == DIE_HALFWAY) die();
    return finish(verdict, written);
}

ssize_t write(int descriptor, const void *data, size_t size) { return write_at(descriptor, data, size, 0, 0); }
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    return write_at(descriptor, data, size, 1, offset);
}
ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset) {
    return write_at(descriptor, data, size, 1, offset);
}

ssize_t read(int descriptor, void *data, size_t size) {
    PLAIN(at_descriptor(READ, descriptor), syscall(SYS_read, descriptor, data, size));
}
ssize_t pread(int descriptor, void *data, size_t size, off_t offset) {
    PLAIN(at_descriptor(READ, descriptor), syscall(SYS_pread64, descriptor, data, size, offset));
}
ssize_t pread64(int descriptor, void *data, size_t size, off_t offset) {
    PLAIN(at_descriptor(READ, descriptor), syscall(SYS_pread64, descriptor, data, size, offset));
}

int fsync(int descriptor) { PLAIN(at_descriptor(SYNC, descriptor), syscall(SYS_fsync, descriptor)); }
int fdatasync(int descriptor) { PLAIN(at_descriptor(SYNC, descriptor), syscall(SYS_fdatasync, descriptor)); }
int ftruncate(int descriptor, off_t size) {
    PLAIN(at_descriptor(TRUNCATE, descriptor), syscall(SYS_ftruncate, descriptor, size));
}
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }

int close(int descriptor) {
    int verdict = at_descriptor(CLOSE, descriptor);
    long result = syscall(SYS_close, descriptor);
    if (verdict == REFUSE) { /* as the kernel does it: the error is told, and the descriptor is gone */
        errno = code;
        return -1;
    }
    return finish(verdict, result);
}

int renameat2(int from, const char *source, int to, const char *target, unsigned flags) {
    PLAIN(at_path(RENAME, to, target), syscall(SYS_renameat2, from, source, to, target, flags));
}
int renameat(int from, const char *source, int to, const char *target) {
    return renameat2(from, source, to, target, 0);
}
int rename(const char *source, const char *target) { return renameat2(AT_FDCWD, source, AT_FDCWD, target, 0); }

int linkat(int from, const char *source, int to, const char *target, int flags) {
    PLAIN(at_path(LINK, to, target), syscall(SYS_linkat, from, source, to, target, flags));
}
int link(const char *source, const char *target) { return linkat(AT_FDCWD, source, AT_FDCWD, target, 0); }

int unlinkat(int folder, const char *path, int flags) {
    PLAIN(at_path(UNLINK, folder, path), syscall(SYS_unlinkat, folder, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat facts;
    int is_folder = fstatat(AT_FDCWD, path, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode);
    return is_folder ? rmdir(path) : unlink(path);
}

int mkdirat(int folder, const char *path, mode_t rights) {
    PLAIN(at_path(MKDIR, folder, path), syscall(SYS_mkdirat, folder, path, rights));
}
int mkdir(const char *path, mode_t rights) { return mkdirat(AT_FDCWD, path, rights); }
