/* What some file systems and mounts refuse: every lock with the errno REFUSED_LOCK, and shared libraries in the folder
   REFUSED_LOADS, as a mount with noexec does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

int flock(int descriptor, int operation)
{
    (void)descriptor;
    (void)operation;
    const char *code = getenv("REFUSED_LOCK");
    if (!code)
        return 0;
    errno = atoi(code);
    return -1;
}

void *dlopen(const char *path, int flags)
{
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    const char *folder = getenv("REFUSED_LOADS");
    if (folder && path && !strncmp(path, folder, strlen(folder)))
        return real("/refused: failed to map segment from shared object", flags);
    return real(path, flags);
}
