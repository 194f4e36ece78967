// Arithmetic over SIMD lanes with the vector extensions of GCC and Clang; NaN, infinities and the sign of zero as in scalar code.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {  // several models are loaded at once: nothing of one may be taken for the same thing of another

#if defined(PKPD_LANES)
constexpr int W = PKPD_LANES;
#elif defined(__AVX512F__) && (!(defined(__znver4__) || defined(PKPD_HALVES)) || defined(PKPD_WIDE))  // where lanes come in halves, four measure better
constexpr int W = 8;
#elif defined(__AVX__)
constexpr int W = 4;
#else
constexpr int W = 2;
#endif
static_assert(W == 2 || W == 4 || W == 8, "PKPD_LANES: 2, 4 or 8");
typedef double vec __attribute__((vector_size(8 * W)));
typedef long long mask __attribute__((vector_size(8 * W)));

// The same value in every lane, written out: not every compiler makes one broadcast of a loop.
template <class Vector, class Scalar>
static inline Vector repeat(Scalar x) {
  if constexpr (W == 8) return Vector{x, x, x, x, x, x, x, x};
  else if constexpr (W == 4) return Vector{x, x, x, x};
  else return Vector{x, x};
}
static inline vec all(double x) { return repeat<vec>(x); }
static inline mask pattern(unsigned long long x) { return repeat<mask>((long long)x); }
static inline mask truth(bool x) { return repeat<mask>(x ? -1LL : 0LL); }
static inline vec choose(mask m, vec yes, vec no) { return (vec)((m & (mask)yes) | (~m & (mask)no)); }
static inline mask choose(mask m, mask yes, mask no) { return (m & yes) | (~m & no); }
// One bit a lane.
static inline unsigned bits(mask m) {
#if defined(__AVX512DQ__)
  if constexpr (W == 8) { __m512i x; std::memcpy(&x, &m, sizeof x); return _mm512_movepi64_mask(x); }
#endif
#if defined(__AVX__)
  if constexpr (W == 4) { __m256d x; std::memcpy(&x, &m, sizeof x); return _mm256_movemask_pd(x); }
#endif
  unsigned r = 0;
  for (int i = 0; i < W; i++) r |= (m[i] < 0 ? 1u : 0u) << i;
  return r;
}
static inline vec vabs(vec x) { return (vec)((mask)x & truth(true) & ~(mask)all(-0.0)); }
static inline vec vmax(vec a, vec b) { return choose((mask)(a > b) | (mask)(a != a), a, b); }
static inline vec vmin(vec a, vec b) { return choose((mask)(a < b) | (mask)(a != a), a, b); }
static inline vec vsign(vec x) { return choose((mask)(x > all(0.0)), all(1.0), choose((mask)(x < all(0.0)), all(-1.0), x)); }
static inline vec vsqrt(vec x) {
  vec r;
#if defined(__AVX512F__)
  if constexpr (W == 8) { __m512d y; std::memcpy(&y, &x, sizeof y); y = _mm512_sqrt_pd(y); std::memcpy(&r, &y, sizeof r); return r; }
#endif
#if defined(__AVX__)
  if constexpr (W == 4) { __m256d y; std::memcpy(&y, &x, sizeof y); y = _mm256_sqrt_pd(y); std::memcpy(&r, &y, sizeof r); return r; }
#endif
  for (int i = 0; i < W; i++) r[i] = std::sqrt(x[i]);
  return r;
}

#define PKPD_LANEWISE(name) \
  static inline vec v##name(vec x) { vec r; for (int i = 0; i < W; i++) r[i] = std::name(x[i]); return r; }
PKPD_LANEWISE(exp2) PKPD_LANEWISE(log2) PKPD_LANEWISE(log1p) PKPD_LANEWISE(expm1) PKPD_LANEWISE(tanh)
PKPD_LANEWISE(sin) PKPD_LANEWISE(cos) PKPD_LANEWISE(tan) PKPD_LANEWISE(asin) PKPD_LANEWISE(acos) PKPD_LANEWISE(atan)
PKPD_LANEWISE(sinh) PKPD_LANEWISE(cosh) PKPD_LANEWISE(asinh) PKPD_LANEWISE(acosh) PKPD_LANEWISE(atanh)
PKPD_LANEWISE(erf) PKPD_LANEWISE(erfc) PKPD_LANEWISE(floor) PKPD_LANEWISE(ceil)
#define PKPD_LANEWISE2(name) \
  static inline vec v##name(vec x, vec y) { vec r; for (int i = 0; i < W; i++) r[i] = std::name(x[i], y[i]); return r; }
PKPD_LANEWISE2(atan2) PKPD_LANEWISE2(fmod)

// exp(x) = 2^n exp(r), |r| <= ln(2)/2, by the rational form of Moshier (Cephes 2.8, exp.c): below 2 units in the last place.
static inline vec vexp(vec x) {
  vec z = choose((mask)(x > all(710.0)), all(710.0), x);
  z = choose((mask)(z < all(-746.0)), all(-746.0), z);
  const vec magic = all(6755399441055744.0);
  const vec shifted = z * all(1.4426950408889634074) + magic, n = shifted - magic;
  const vec r = z - n * all(6.93145751953125e-1) - n * all(1.42860682030941723212e-6), s = r * r;
  const vec a = r * ((all(1.26177193074810590878e-4) * s + all(3.02994407707441961300e-2)) * s + all(9.99999999999999999910e-1));
  const vec b = ((all(3.00198505138664455042e-6) * s + all(2.52448340349684104192e-3)) * s + all(2.27265548208155028766e-1)) * s + all(2.0);
  const vec y = all(1.0) + all(2.0) * a / (b - a);
  const mask k = (mask)shifted - (mask)magic, half = k >> 1;
  const vec first = (vec)((half + 1023) << 52), second = (vec)((k - half + 1023) << 52);
  return choose((mask)(x != x), x, y * first * second);
}
// a^(-1/3) of a normal number above zero: minus a third of its bits to begin with (within 4 %), then twice four terms of (1 - h)^(-1/3), h = 1 - a r^3.
static inline vec inverse_root(vec a) {
  vec r = (vec)((1430188287LL - ((((mask)a >> 32) * 0x55555556LL) >> 32)) << 32);
  for (int i = 0; i < 2; i++) {
    const vec h = all(1.0) - a * r * r * r;
    r += r * h * (all(1.0 / 3.0) + h * (all(2.0 / 9.0) + h * all(14.0 / 81.0)));
  }
  return r;
}
// x^(1/3) and x^(-1/3) by its size; what is tiny is taken 2^54 times as large.
static inline vec third(vec size) {
  const mask tiny = (mask)(size < all(2.2250738585072014e-308));
  const vec a = choose(tiny, size * all(18014398509481984.0), size), r = inverse_root(a), square = r * r, root = a * square;
  const vec closer = root - (root * root * root - a) * square * all(1.0 / 3.0), better = choose((mask)(a < all(1e300)), closer, root);
  const vec x = choose(tiny, better * all(3.814697265625e-06), better);
  return choose((mask)(size > all(0.0)) & (mask)(size < all(INFINITY)), x, size);
}
static inline vec inverse_third(vec size) {
  const mask tiny = (mask)(size < all(2.2250738585072014e-308));
  const vec r = inverse_root(choose(tiny, size * all(18014398509481984.0), size)), x = choose(tiny, r * all(262144.0), r);
  return choose((mask)(size == all(0.0)), all(INFINITY), choose((mask)(size == all(INFINITY)), all(0.0), choose((mask)(size != size), size, x)));
}
static inline vec vcbrt(vec x) {
  return (vec)((mask)third(vabs(x)) | ((mask)x & (mask)all(-0.0)));
}
// As powers: NaN below zero.
static inline vec vroot3(vec x) { return choose((mask)(x < all(0.0)), all(NAN), third(vabs(x))); }
static inline vec vover3(vec x) { return choose((mask)(x < all(0.0)), all(NAN), inverse_third(vabs(x))); }
// log(x) = e ln(2) + log(m), m in [sqrt(1/2), sqrt(2)), by the rational form of Moshier (Cephes 2.8, log.c).
static inline vec vlog(vec x) {
  const mask tiny = (mask)(x < all(2.2250738585072014e-308));
  const vec scaled = choose(tiny, x * all(18014398509481984.0), x);
  const mask raw = (mask)scaled;
  mask e = ((raw >> 52) & 2047) - 1022 - (tiny & 54);
  vec m = (vec)((raw & 0x000fffffffffffffLL) | 0x3fe0000000000000LL);
  const mask low = (mask)(m < all(0.70710678118654752440));
  e += low;
  m = choose(low, m + m, m) - all(1.0);
  const vec magic = all(6755399441055744.0), n = (vec)(e + (mask)magic) - magic, z = m * m;
  vec a = all(1.01875663804580931796e-4) * m + all(4.97494994976747001425e-1);
  a = ((a * m + all(4.70579119878881725854e0)) * m + all(1.44989225341610930846e1)) * m + all(1.79368678507819816313e1);
  a = a * m + all(7.70838733755885391666e0);
  vec b = (m + all(1.12873587189167450590e1)) * m + all(4.52279145837532221105e1);
  b = ((b * m + all(8.29875266912776603211e1)) * m + all(7.11544750618563894466e1)) * m + all(2.31251620126765340583e1);
  const vec y = m * (z * a / b) - n * all(2.121944400546905827679e-4) - all(0.5) * z;
  vec r = m + y + n * all(0.693359375);
  r = choose((mask)(x == all(0.0)), all(-INFINITY), r);
  r = choose((mask)(x == all(INFINITY)), x, r);
  return choose((mask)(x < all(0.0)), all(NAN), choose((mask)(x != x), x, r));
}
// Where the base is positive and the result in range, exp(y log(x)): an error of about |y log(x)| / 2 units in the last place; else as the C library.
static inline vec vpow(vec x, vec y) {
  const vec z = y * vlog(x);
  const unsigned plain = bits((mask)(x > all(0.0)) & (mask)(vabs(z) < all(40.0)));
  vec r = vexp(z);
  if (plain != (1u << W) - 1)
    for (int i = 0; i < W; i++)
      if (!(plain >> i & 1)) r[i] = std::pow(x[i], y[i]);
  return r;
}
static inline vec vlogistic(vec x) { return all(1.0) / (all(1.0) + vexp(-x)); }
