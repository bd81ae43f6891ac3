/* A stand-in for libcuda.so.1 on machines without a GPU. A kernel's text is compiled by g++ and a launch runs it thread by
   thread, so that the handler, its arguments, the launch geometry and the text are tried for real; only the device is
   missing. What it compiled lies beside this library, for all processes.

   Environment, for faults:
   STAND_IN_ERROR=719            launches fail with that code
   STAND_IN_ERROR=719:3          the third launch of a process and those after it, as in a broken context
   STAND_IN_ERROR=2:3:3          the third alone
   STAND_IN_HANG=3               the third launch never comes back
   STAND_IN_LOAD_ERROR=209       loading a kernel fails
   STAND_IN_CONTEXT_ERROR=100    the first question fails
   STAND_IN_ONCE=FILE            of all this, only in the first process that makes the file
   STAND_IN_GPU=1                of all this, only where CUDA_VISIBLE_DEVICES is 1: one bad GPU among good ones
   STAND_IN_CONTEXTS=thread      each thread has a context of its own, as with a GPU for each
   STAND_IN_LOG=FILE             a line "pid load" or "pid launch BLOCKS GROUPS THREADS" for each of them */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace {
struct Known { int code; const char *name, *text; };
const Known KNOWN[] = {
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};
const Known UNKNOWN = {999, "CUDA_ERROR_UNKNOWN", "unknown error"};
const Known &known(int code) {
  for (const Known &one : KNOWN)
    if (one.code == code) return one;
  return UNKNOWN;
}
const char MAGIC[] = "phloem stand-in!";
int context_here;
thread_local int context_of_thread;
std::atomic<int> launches{0};
thread_local std::string said;

std::string slurp(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

/* Whether this process is one in which faults are wanted. */
bool afflicted() {
  static const bool answer = [] {
    const char *gpu = std::getenv("STAND_IN_GPU"), *visible = std::getenv("CUDA_VISIBLE_DEVICES");
    if (gpu && (!visible || std::strcmp(gpu, visible))) return false;
    const char *once = std::getenv("STAND_IN_ONCE");
    if (!once) return true;
    const int file = open(once, O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (file >= 0) close(file);
    return file >= 0;
  }();
  return answer;
}

/* The code that a variable holds, as CODE, CODE:FROM or CODE:FROM:TO, for the call of a number; 0 for none. */
int wanted_error(const char *variable, int number) {
  const char *text = std::getenv(variable);
  int code = 0, from = 1, to = 1 << 30;
  if (!text || std::sscanf(text, "%d:%d:%d", &code, &from, &to) < 1) return 0;
  return number >= from && number <= to && afflicted() ? code : 0;
}

void note(const std::string &line) {
  const char *path = std::getenv("STAND_IN_LOG");
  if (!path) return;
  const std::string whole = std::to_string(getpid()) + " " + line + "\n";
  const int file = open(path, O_CREAT | O_APPEND | O_WRONLY, 0644);
  if (file >= 0) (void)!write(file, whole.data(), whole.size()), close(file);
}

/* Two 64-bit FNV-1a hashes, as a file's name. */
std::string digest(const std::string &text) {
  unsigned long long one = 14695981039346656037ULL, two = 0x9e3779b97f4a7c15ULL;
  for (const unsigned char c : text) one = (one ^ c) * 1099511628211ULL, two = (two ^ c) * 0x100000001b3ULL + 1;
  char name[40];
  std::snprintf(name, sizeof name, "%016llx%016llx", one, two);
  return name;
}

std::string own_folder() {
  Dl_info about;
  if (!dladdr((void *)&known, &about)) return "/tmp";
  const std::string path = about.dli_fname;
  return path.substr(0, path.rfind('/'));
}
}  // namespace

using Launch = int (*)(unsigned, unsigned, unsigned, void **);

extern "C" {
int cuCtxGetCurrent(void **context) {
  *context = std::getenv("STAND_IN_CONTEXTS") ? &context_of_thread : &context_here;
  return wanted_error("STAND_IN_CONTEXT_ERROR", 1);
}
int cuStreamGetCtx(void *, void **context) { return cuCtxGetCurrent(context); }
int cuCtxPushCurrent_v2(void *) { return 0; }
int cuCtxPopCurrent_v2(void **) { return 0; }
int cuCtxGetDevice(int *device) { return *device = 0; }
int cuDeviceGetAttribute(int *value, int which, int) { return *value = which == 75 ? 9 : 0, 0; } /* capability 9.0 */
int cuDriverGetVersion(int *version) { return *version = 13000, 0; }
int cuGetErrorName(int code, const char **name) { return *name = known(code).name, 0; }
int cuGetErrorString(int code, const char **text) { return *text = known(code).text, 0; }

int cuModuleLoadData(void **module, const void *image) {
  note("load");
  if (const int code = wanted_error("STAND_IN_LOAD_ERROR", 1)) return code;
  if (std::memcmp(image, MAGIC, sizeof MAGIC)) return 200;
  size_t size;
  std::memcpy(&size, (const char *)image + sizeof MAGIC, sizeof size);
  const char *bytes = (const char *)image + sizeof MAGIC + sizeof size;
  const int file = memfd_create("kernel", 0);
  if (file < 0 || write(file, bytes, size) != (ssize_t)size) return 2;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!*module) std::fprintf(stderr, "%s\n", dlerror());
  return *module ? 0 : 200;  // the file stays open: the loader tells libraries apart by their files
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = dlsym(module, name) ? dlsym(module, "phloem_launch_on_host") : nullptr;
  return *function ? 0 : 500;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned, unsigned bx, unsigned, unsigned, unsigned, void *,
                   void **parameters, void **) {
  const int number = ++launches;
  note("launch " + std::to_string(gx) + " " + std::to_string(gy) + " " + std::to_string(bx));
  if (const char *hang = std::getenv("STAND_IN_HANG"))
    while (number >= std::atoi(hang) && afflicted()) pause();
  if (const int code = wanted_error("STAND_IN_ERROR", number)) return code;
  return ((Launch)function)(gx, gy, bx, parameters);
}

/* Compile CUDA text for the host; return the image that cuModuleLoadData takes, its size, or what the compiler said. */
const char *phloem_compile(const char *text, size_t *size, const char **message) {
  const std::string whole = std::string("#define HOST_SHIM \"" HERE "/host_shim.h\"\n") + text + "\n#include \"" HERE "/launch_on_host.cpp\"\n";
  const std::string flags = "-std=c++17 -O2 -march=native -ffp-contract=off -fno-math-errno -w -shared -fPIC ";
  const std::string kept = own_folder() + "/kernel-" + digest(whole + flags + slurp(HERE "/host_shim.h") + slurp(HERE "/launch_on_host.cpp")) + ".so";
  std::string library = slurp(kept);
  if (library.empty()) {
    char folder[] = "/tmp/stand-in-XXXXXX";
    if (!mkdtemp(folder)) return *message = "no temporary folder", nullptr;
    const std::string base = std::string(folder) + "/kernel";
    std::ofstream(base + ".cpp") << whole;
    const int status = std::system(("g++ " + flags + base + ".cpp -o " + base + ".so > " + base + ".log 2>&1").c_str());
    library = status ? "" : slurp(base + ".so");
    said = slurp(base + ".log").substr(0, 4000);
    if (!library.empty()) {
      const std::string temporary = kept + "." + std::to_string(getpid());
      std::ofstream(temporary, std::ios::binary) << library;
      std::rename(temporary.c_str(), kept.c_str());
    }
    (void)!std::system((std::string("rm -r ") + folder).c_str());
  }
  if (library.empty()) return *message = said.c_str(), nullptr;
  const size_t bytes = library.size();
  *size = sizeof MAGIC + sizeof bytes + bytes;
  char *image = (char *)std::malloc(*size);
  std::memcpy(image, MAGIC, sizeof MAGIC);
  std::memcpy(image + sizeof MAGIC, &bytes, sizeof bytes);
  std::memcpy(image + sizeof MAGIC + sizeof bytes, library.data(), bytes);
  return image;
}
}
