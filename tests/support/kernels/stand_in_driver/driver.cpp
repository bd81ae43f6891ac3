/* A stand-in for libcuda.so.1 on machines without a GPU. A kernel's text is compiled by g++ and a launch runs it thread by
   thread, so that the handler, its arguments, the launch geometry and the text are tried for real; only the device is
   missing. STAND_IN_ERROR=719 makes launches fail with that code, STAND_IN_ERROR=719:3 the third one of a process and those
   after it, as a broken context does; STAND_IN_CONTEXT_ERROR=100 fails the first question. */
#include <dlfcn.h>
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
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
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
std::atomic<int> launches{0};
std::string said;

std::string slurp(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}
}  // namespace

using Launch = int (*)(unsigned, unsigned, unsigned, void **);

extern "C" {
int cuCtxGetCurrent(void **context) {
  *context = &context_here;
  const char *wanted = std::getenv("STAND_IN_CONTEXT_ERROR");
  return wanted ? std::atoi(wanted) : 0;
}
int cuCtxGetDevice(int *device) { return *device = 0; }
int cuDeviceGetAttribute(int *value, int, int) { return *value = 0; }
int cuGetErrorName(int code, const char **name) { return *name = known(code).name, 0; }
int cuGetErrorString(int code, const char **text) { return *text = known(code).text, 0; }

int cuModuleLoadData(void **module, const void *image) {
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
  if (const char *wanted = std::getenv("STAND_IN_ERROR")) {
    const char *from = std::strchr(wanted, ':');
    if (!from || number >= std::atoi(from + 1)) return std::atoi(wanted);
  }
  return ((Launch)function)(gx, gy, bx, parameters);
}

/* Compile CUDA text for the host; return the image that cuModuleLoadData takes, its size, or what the compiler said. */
const char *phloem_compile(const char *text, size_t *size, const char **message) {
  char folder[] = "/tmp/stand-in-XXXXXX";
  if (!mkdtemp(folder)) return *message = "no temporary folder", nullptr;
  const std::string base = std::string(folder) + "/kernel";
  std::ofstream(base + ".cpp") << "#define HOST_SHIM \"" HERE "/host_shim.h\"\n" << text << "\n#include \"" HERE "/launch_on_host.cpp\"\n";
  const std::string command = "g++ -std=c++17 -O2 -march=native -ffp-contract=off -fno-math-errno -w -shared -fPIC " + base +
                              ".cpp -o " + base + ".so > " + base + ".log 2>&1";
  const int status = std::system(command.c_str());
  const std::string library = slurp(base + ".so");
  said = slurp(base + ".log").substr(0, 4000);
  (void)!std::system((std::string("rm -r ") + folder).c_str());
  if (status || library.empty()) return *message = said.c_str(), nullptr;
  const size_t bytes = library.size();
  *size = sizeof MAGIC + sizeof bytes + bytes;
  char *image = (char *)std::malloc(*size);
  std::memcpy(image, MAGIC, sizeof MAGIC);
  std::memcpy(image + sizeof MAGIC, &bytes, sizeof bytes);
  std::memcpy(image + sizeof MAGIC + sizeof bytes, library.data(), bytes);
  return image;
}
}
