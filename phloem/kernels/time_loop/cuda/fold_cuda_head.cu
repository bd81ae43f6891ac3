/* What every kernel of the gpu backend begins with: the number type, and functions of one scalar whose bits are those of
   the cpu backend. One thread simulates one lane, so that a block of lanes, as the printed bodies know it, is one lane. */

#if !defined __CUDACC_RTC__ && !defined __CUDACC__
#include HOST_SHIM
#else
typedef int int32_t;
#endif

#define VALUE 1
#define ADJOINT 2
#define TANGENT 3
#define B 1
#define LANES
#define INLINE __device__ __forceinline__
#define restrict __restrict__

#if DOUBLE
typedef double real;
typedef long long whole;
typedef unsigned long long unsigned_whole;
#define FMA(x, y, z) __fma_rn(x, y, z)
#define NOT_A_NUMBER __longlong_as_double(0x7ff8000000000000LL)
#define INFINITE __longlong_as_double(0x7ff0000000000000LL)
#else
typedef float real;
typedef int whole;
typedef unsigned unsigned_whole;
#define FMA(x, y, z) __fmaf_rn(x, y, z)
#define NOT_A_NUMBER __int_as_float(0x7fc00000)
#define INFINITE __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN NOT_A_NUMBER
#endif
#ifndef INFINITY
#define INFINITY INFINITE
#endif

typedef real lanes[B];

/* One tangent: of the constants, of the state, of the sums of a segment. */
typedef struct {
  lanes cd[NC], sd[NS], ad[NM];
} Dot;

typedef union {
  whole bits;
  real number;
} Bits;

#if FAST && !DOUBLE
#define HAS_EXP
static INLINE real exp_(real x) {
  return __expf(x);
}
#endif

#if DOUBLE
#define REAL(name) name
static INLINE real sqrt_(real x) { return __dsqrt_rn(x); }
#else
#define REAL(name) name##f
static INLINE real sqrt_(real x) { return FAST ? sqrtf(x) : __fsqrt_rn(x); }
#endif
static INLINE real abs_(real x) { return REAL(fabs)(x); }
static INLINE real floor_(real x) { return REAL(floor)(x); }
static INLINE real ceil_(real x) { return REAL(ceil)(x); }
static INLINE real sign_(real x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

/* Functions that each side leaves to its own library, and which may differ in their last bits. */
static INLINE real log_(real x) { return REAL(log)(x); }
static INLINE real log1p_(real x) { return REAL(log1p)(x); }
static INLINE real expm1_(real x) { return REAL(expm1)(x); }
static INLINE real sin_(real x) { return REAL(sin)(x); }
static INLINE real cos_(real x) { return REAL(cos)(x); }
static INLINE real tan_(real x) { return REAL(tan)(x); }
static INLINE real asin_(real x) { return REAL(asin)(x); }
static INLINE real acos_(real x) { return REAL(acos)(x); }
static INLINE real atan_(real x) { return REAL(atan)(x); }
static INLINE real sinh_(real x) { return REAL(sinh)(x); }
static INLINE real cosh_(real x) { return REAL(cosh)(x); }
static INLINE real tanh_(real x) { return REAL(tanh)(x); }
static INLINE real cbrt_(real x) { return REAL(cbrt)(x); }
static INLINE real erf_(real x) { return REAL(erf)(x); }
static INLINE real pow_(real x, real y) { return REAL(pow)(x, y); }
static INLINE real atan2_(real y, real x) { return REAL(atan2)(y, x); }
