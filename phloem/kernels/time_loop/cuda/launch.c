/* The XLA FFI handler of the gpu backend: it launches a kernel of those that the process has provided. No CUDA header or
   library is needed to build or to load it; the driver's library is opened by the first that asks.

   A call names its kernel by a key, and gives what is fixed when the program is compiled: periods, tangents. What it gets
   and returns stands where the cpu backend has it (fold_cpu.c); `kind` and `lived` come last among the arguments. */

#define _DEFAULT_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

typedef int Status; /* CUresult */
enum { OUT_OF_MEMORY = 2, NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218, UNSUPPORTED_PTX_VERSION = 222 };
enum { COMPUTE_MAJOR = 75, COMPUTE_MINOR = 76 }; /* attributes of a device */

static struct {
  Status (*version)(int *);
  Status (*current)(void **);
  Status (*of_stream)(void *, void **);
  Status (*push)(void *);
  Status (*pop)(void **);
  Status (*device)(int *);
  Status (*attribute)(int *, int, int);
  Status (*load)(void **, const void *);
  Status (*function)(void **, void *, const char *);
  Status (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
  Status (*name)(Status, const char **);
  Status (*text)(Status, const char **);
} driver;

/* A kernel's machine code for one architecture (90 for sm_90), or its PTX for those after it. */
typedef struct Image {
  struct Image *next;
  int architecture, is_ptx;
  char *bytes;
} Image;

/* A kernel as one context has loaded it: a context is one GPU of this process. */
typedef struct Loaded {
  struct Loaded *next;
  void *context, *function;
} Loaded;

typedef struct Kernel {
  struct Kernel *next;
  char *key, *entry;
  int threads, together, has_scratch;
  Image *images;
  Loaded *loaded;
} Kernel;

static Kernel *kernels;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *library;

/* Open the driver's library; return what is wrong with it, or nothing. */
const char *phloem_open_driver(const char *path) {
  static char wrong[512];
  pthread_mutex_lock(&lock);
  wrong[0] = 0;
  if (!library) {
    void *opened = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!opened) {
      snprintf(wrong, sizeof wrong, "the NVIDIA driver's library cannot be loaded: %s", dlerror());
    } else {
      struct { void **to; const char *name; } wanted[] = {
          {(void **)&driver.version, "cuDriverGetVersion"}, {(void **)&driver.current, "cuCtxGetCurrent"},
          {(void **)&driver.of_stream, "cuStreamGetCtx"}, {(void **)&driver.push, "cuCtxPushCurrent_v2"},
          {(void **)&driver.pop, "cuCtxPopCurrent_v2"}, {(void **)&driver.device, "cuCtxGetDevice"},
          {(void **)&driver.attribute, "cuDeviceGetAttribute"}, {(void **)&driver.load, "cuModuleLoadData"},
          {(void **)&driver.function, "cuModuleGetFunction"}, {(void **)&driver.launch, "cuLaunchKernel"},
          {(void **)&driver.name, "cuGetErrorName"}, {(void **)&driver.text, "cuGetErrorString"}};
      for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !wrong[0]; ++i)
        if (!(*wanted[i].to = dlsym(opened, wanted[i].name)))
          snprintf(wrong, sizeof wrong, "the NVIDIA driver in %s is too old: it has no %s", path, wanted[i].name);
      if (!wrong[0]) library = opened;
    }
  }
  pthread_mutex_unlock(&lock);
  return wrong;
}

static Kernel *find(const char *key, size_t length) {
  for (Kernel *k = kernels; k; k = k->next)
    if (strlen(k->key) == length && !memcmp(k->key, key, length)) return k;
  return 0;
}

/* Make a kernel known, once: its name in the image, its lanes a block, the tangents a thread carries, and whether its last
   result is scratch. */
void phloem_declare(const char *key, const char *entry, int threads, int together, int has_scratch) {
  pthread_mutex_lock(&lock);
  if (!find(key, strlen(key))) {
    Kernel *k = calloc(1, sizeof *k);
    if (k) {
      k->key = strdup(key), k->entry = strdup(entry);
      k->threads = threads, k->together = together, k->has_scratch = has_scratch;
      k->next = kernels, kernels = k;
    }
  }
  pthread_mutex_unlock(&lock);
}

/* Give a kernel an image; the bytes are copied. Return 0, or 1 where there is no such kernel or no memory. */
int phloem_provide(const char *key, int architecture, int is_ptx, const char *bytes, size_t size) {
  pthread_mutex_lock(&lock);
  Kernel *k = find(key, strlen(key));
  Image *image = k ? calloc(1, sizeof *image) : 0;
  int failed = !image || !(image->bytes = calloc(1, size + 1)); /* PTX ends with a 0 */
  if (failed) {
    free(image);
  } else {
    memcpy(image->bytes, bytes, size);
    image->architecture = architecture, image->is_ptx = is_ptx;
    image->next = k->images, k->images = image;
  }
  pthread_mutex_unlock(&lock);
  return failed;
}

static XLA_FFI_Error *complain(XLA_FFI_CallFrame *call, XLA_FFI_Error_Code code, const char *message) {
  XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, 0, message, code};
  return call->api->XLA_FFI_Error_Create(&args);
}

/* Say what the driver said, in its own words: failures are classed by them. */
static XLA_FFI_Error *complain_of(XLA_FFI_CallFrame *call, Status status, const char *doing) {
  const char *name = "CUDA_ERROR", *text = "unknown error";
  char message[512], advice[160] = "";
  int version = 0;
  (void)driver.name(status, &name), (void)driver.text(status, &text), (void)driver.version(&version);
  if (status == NO_BINARY_FOR_GPU || status == INVALID_PTX || status == UNSUPPORTED_PTX_VERSION)
    snprintf(advice, sizeof advice, "; the driver runs CUDA %d.%d: install a newer one, or an NVRTC that is no newer than it",
             version / 1000, version % 1000 / 10);
  snprintf(message, sizeof message, "phloem: %s failed: %s (%d): %s%s", doing, name, status, text, advice);
  return complain(call, status == OUT_OF_MEMORY ? XLA_FFI_Error_Code_RESOURCE_EXHAUSTED : XLA_FFI_Error_Code_INTERNAL, message);
}

/* The image for an architecture: its own machine code, that of a lower one of the same generation, PTX of one before. */
static const Image *choose(const Kernel *k, int architecture) {
  const Image *best = 0;
  for (const Image *i = k->images; i; i = i->next) {
    const int fits = i->architecture <= architecture && (i->is_ptx || i->architecture / 10 == architecture / 10);
    if (fits && (!best || best->is_ptx > i->is_ptx || (best->is_ptx == i->is_ptx && best->architecture < i->architecture)))
      best = i;
  }
  return best;
}

/* The kernel in a context, which is this thread's; loaded where it is not yet. */
static XLA_FFI_Error *bring_up(XLA_FFI_CallFrame *call, Kernel *k, void *context, void **function) {
  void *module = 0;
  int device = 0, major = 0, minor = 0;
  pthread_mutex_lock(&lock);
  for (Loaded *l = k->loaded; l; l = l->next)
    if (l->context == context) *function = l->function;
  if (*function) {
    pthread_mutex_unlock(&lock);
    return 0;
  }
  XLA_FFI_Error *failed = 0;
  Status status = driver.device(&device);
  if (!status) status = driver.attribute(&major, COMPUTE_MAJOR, device);
  if (!status) status = driver.attribute(&minor, COMPUTE_MINOR, device);
  const Image *image = status ? 0 : choose(k, 10 * major + minor);
  if (!status && !image) {
    char message[160];
    snprintf(message, sizeof message, "phloem: the kernel was compiled for no GPU of compute capability %d.%d", major, minor);
    failed = complain(call, XLA_FFI_Error_Code_FAILED_PRECONDITION, message);
  }
  if (image) status = driver.load(&module, image->bytes);
  if (module) status = driver.function(function, module, k->entry);
  if (status) failed = complain_of(call, status, "loading the kernel");
  Loaded *loaded = failed ? 0 : calloc(1, sizeof *loaded);
  if (loaded) loaded->context = context, loaded->function = *function, loaded->next = k->loaded, k->loaded = loaded;
  pthread_mutex_unlock(&lock);
  return failed;
}

static void *argument(XLA_FFI_CallFrame *call, int i) { return ((XLA_FFI_Buffer *)call->args.args[i])->data; }
static void *result(XLA_FFI_CallFrame *call, int i) { return ((XLA_FFI_Buffer *)call->rets.rets[i])->data; }
static int extent(XLA_FFI_CallFrame *call, int i, int axis) {
  return (int)((XLA_FFI_Buffer *)call->args.args[i])->dims[axis];
}

static const void *attribute(XLA_FFI_CallFrame *call, const char *name) {
  for (int64_t i = 0; i < call->attrs.size; ++i)
    if (call->attrs.names[i]->len == strlen(name) && !memcmp(call->attrs.names[i]->ptr, name, strlen(name)))
      return call->attrs.attrs[i];
  return 0;
}
static int number(XLA_FFI_CallFrame *call, const char *name) {
  const XLA_FFI_Scalar *scalar = attribute(call, name);
  return scalar ? (int)*(const int64_t *)scalar->value : 0;
}

/* As Call of fold_cuda.cu. */
typedef struct {
  const void *constants, *first, *weather, *observed, *live, *weather_row, *observed_row, *lane_cell, *kind, *lived, *in[3];
  void *out[4], *scratch;
  int lanes, days, cells, weather_rows, observed_rows, periods, tangents;
} Call;

enum { COMMON = 8, LAST_TWO = 2, MOST_IN = 3, MOST_OUT = 4 };

XLA_FFI_Error *phloem_launch(XLA_FFI_CallFrame *call) {
  for (__typeof__(call->extension_start) e = call->extension_start; e; e = e->next)
    if (e->type == XLA_FFI_Extension_Metadata) {
      XLA_FFI_Metadata *about = ((XLA_FFI_Metadata_Extension *)e)->metadata;
      about->api_version.major_version = XLA_FFI_API_MAJOR;
      about->api_version.minor_version = XLA_FFI_API_MINOR;
      about->traits = 0; /* not to be recorded in a CUDA graph: the first call loads the kernel */
      return 0;
    }
  if (call->stage != XLA_FFI_ExecutionStage_EXECUTE) return 0;
  if (!library) return complain(call, XLA_FFI_Error_Code_FAILED_PRECONDITION, "phloem: the NVIDIA driver is not open");
  const XLA_FFI_ByteSpan *key = attribute(call, "key");
  pthread_mutex_lock(&lock);
  Kernel *k = key ? find(key->ptr, key->len) : 0;
  pthread_mutex_unlock(&lock);
  if (!k) return complain(call, XLA_FFI_Error_Code_FAILED_PRECONDITION, "phloem: this process has not provided the kernel");
  const int more = (int)call->args.size - COMMON - LAST_TWO, results = (int)call->rets.size - k->has_scratch;
  if (more < 0 || more > MOST_IN || results < 1 || results > MOST_OUT)
    return complain(call, XLA_FFI_Error_Code_INVALID_ARGUMENT, "phloem: wrong number of arguments or results");
  Call t = {.constants = argument(call, 0), .first = argument(call, 1), .weather = argument(call, 2),
            .observed = argument(call, 3), .weather_row = argument(call, 4), .observed_row = argument(call, 5),
            .live = argument(call, 6), .lane_cell = argument(call, 7), .kind = argument(call, COMMON + more),
            .lived = argument(call, COMMON + more + 1), .lanes = extent(call, 7, 0), .days = extent(call, 4, 0),
            .cells = extent(call, 2, 2), .weather_rows = extent(call, 2, 0), .observed_rows = extent(call, 3, 0),
            .periods = number(call, "periods"), .tangents = number(call, "tangents")};
  for (int i = 0; i < more; ++i) t.in[i] = argument(call, COMMON + i);
  for (int i = 0; i < results; ++i) t.out[i] = result(call, i);
  if (k->has_scratch) t.scratch = result(call, results);
  if (!t.lanes || !t.tangents) return 0;
  if (t.days && (t.cells < 1 || t.weather_rows < 1 || t.observed_rows < 1))
    return complain(call, XLA_FFI_Error_Code_INVALID_ARGUMENT, "phloem: tables without cells or rows");
  /* XLA's processors have no stream; there a stand-in for the driver runs a launch to its end. */
  XLA_FFI_Stream_Get_Args stream = {XLA_FFI_Stream_Get_Args_STRUCT_SIZE, 0, call->ctx, 0};
  XLA_FFI_Error *failed = call->api->XLA_FFI_Stream_Get(&stream);
  if (failed) {
    XLA_FFI_Error_Destroy_Args args = {XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, 0, failed};
    call->api->XLA_FFI_Error_Destroy(&args);
    stream.stream = 0;
  }
  /* The context is that of the stream: which GPU this thread used last does not matter. */
  void *context = 0, *function = 0;
  Status status = stream.stream ? driver.of_stream(stream.stream, &context) : driver.current(&context);
  if (status) return complain_of(call, status, "asking for the context");
  if ((status = driver.push(context))) return complain_of(call, status, "entering the context");
  failed = bring_up(call, k, context, &function);
  if (!failed) {
    void *parameters[] = {&t};
    const unsigned blocks = (unsigned)((t.lanes + k->threads - 1) / k->threads);
    const unsigned groups = (unsigned)((t.tangents + k->together - 1) / k->together);
    status = driver.launch(function, blocks, groups, 1, (unsigned)k->threads, 1, 1, 0, stream.stream, parameters, 0);
    if (status) failed = complain_of(call, status, "launching the kernel");
  }
  (void)driver.pop(&context);
  return failed;
}
