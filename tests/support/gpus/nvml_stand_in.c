/* A stand-in for libnvidia-ml.so.1: answers the calls that nvidia-ml-py makes, as NVML_* variables say.
   Structures and constants as in nvml.h of CUDA 13. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15, UNKNOWN = 999 };
typedef struct { int index, mig; } *Device;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;
typedef struct { unsigned multiprocessors, others[7]; unsigned long long megabytes; } Attributes;

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int name_of(char *to, unsigned size, const char *text) {
    if (strlen(text) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, text);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) {
    if (number("NVML_HANG", 0)) for (;;) sleep(1);
    return number("NVML_INIT", SUCCESS);
}
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == 18 ? "Driver/library version mismatch" : "GPU is lost"; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { return name_of(to, size, "580.159.03"); }
int nvmlSystemGetCudaDriverVersion(int *to) { *to = 13000; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *to) { *to = number("NVML_GPUS", 2); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *to) {
    if ((int)index == number("NVML_LOST", -1)) return GPU_IS_LOST;
    *to = malloc(sizeof **to);
    (*to)->index = index;
    (*to)->mig = 0;
    return SUCCESS;
}
int nvmlDeviceGetName(Device device, char *to, unsigned size) { return name_of(to, size, "NVIDIA H200"); }
int nvmlDeviceGetUUID(Device device, char *to, unsigned size) {
    char text[80];
    snprintf(text, sizeof text, "%s-0000%d", device->mig ? "MIG" : "GPU", device->index + number("NVML_FIRST", 0));
    return name_of(to, size, text);
}
int nvmlDeviceGetMemoryInfo(Device device, Memory *to) {
    *to = (Memory){150754820096ull, 150000000000ull, 754820096ull};
    return SUCCESS;
}
int nvmlDeviceGetEccMode(Device device, int *now, int *next) {
    *now = *next = number("NVML_ECC", 1);
    return *now < 0 ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(Device device, int kind, int counter, unsigned long long *to) {
    if (kind != 1 || counter != 0) return UNKNOWN; /* uncorrected, volatile */
    *to = device->index == 1 ? number("NVML_ERRORS", 0) : 0;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(Device device, unsigned *now, unsigned *next) {
    if (number("NVML_MIG", 0) < 0) return NOT_SUPPORTED;
    *now = *next = number("NVML_MIG", 0) > 0;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *to) { *to = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *to) {
    if ((int)index >= number("NVML_MIG", 0) - 1) return NOT_FOUND;
    nvmlDeviceGetHandleByIndex_v2(index, to);
    (*to)->mig = 1;
    return SUCCESS;
}
int nvmlDeviceGetComputeMode(Device device, int *to) { *to = number("NVML_MODE", 0); return SUCCESS; }
int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) { *major = 9; *minor = 0; return SUCCESS; }
int nvmlDeviceGetAttributes_v2(Device device, Attributes *to) {
    memset(to, 0, sizeof *to);
    to->multiprocessors = 132;
    return number("NVML_ATTRIBUTES", 1) ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, Process *to) {
    int there = number("NVML_PROCESSES", 0);
    if (!there) { *count = 0; return SUCCESS; }
    if ((int)*count < there) { *count = there; return INSUFFICIENT_SIZE; }
    for (int i = 0; i < there; i++) to[i] = (Process){4000 + i, 1 << 30, ~0u, ~0u};
    *count = there;
    return SUCCESS;
}
