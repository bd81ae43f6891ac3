/* Lets the host's compiler read CUDA text: one thread after the other, arithmetic intrinsics as IEEE 754 has them. */
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static thread_local

struct Place { int x, y, z; };
static thread_local Place threadIdx, blockIdx;

template <class T> static inline T __ldg(const T *p) { return *p; }
static inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
static inline double __fma_rn(double x, double y, double z) { return std::fma(x, y, z); }
static inline float __fsqrt_rn(float x) { return std::sqrt(x); }
static inline double __dsqrt_rn(double x) { return std::sqrt(x); }
static inline float exp_on_gpu(float x) { return std::exp(x); }
#define __expf exp_on_gpu /* the C library has a function of that name */
static inline float __int_as_float(int i) { float f; std::memcpy(&f, &i, sizeof f); return f; }
static inline double __longlong_as_double(long long i) { double f; std::memcpy(&f, &i, sizeof f); return f; }
