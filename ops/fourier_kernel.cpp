#include <isotape/ops/fourier_kernel.hpp>

#include <cstring>

#include <isotape/core/isa.hpp>

// Eight values at a time, interleaved by shuffles. The templates are inlined into the functions at
// the end, which are compiled for several instruction sets.

namespace isotape {
namespace {

#define ISOTAPE_INLINE [[gnu::always_inline]] inline

constexpr std::int64_t eight = 8;

template <class T>
struct Vector;
template <>
struct Vector<float> {
  using Type = float __attribute__((vector_size(eight * sizeof(float))));
};
template <>
struct Vector<double> {
  using Type = double __attribute__((vector_size(eight * sizeof(double))));
};

template <class V, class T>
ISOTAPE_INLINE void load(V& v, const T* from) {
  std::memcpy(&v, from, sizeof(v));
}
template <class V, class T>
ISOTAPE_INLINE void store(const V& v, T* to) {
  std::memcpy(to, &v, sizeof(v));
}

template <class T>
ISOTAPE_INLINE void sum_and_difference_of(std::int64_t n, const T* a, const T* b, T* sum,
                                          T* difference) {
  using V = typename Vector<T>::Type;
  std::int64_t i = 0;
  for (; i + eight <= n; i += eight) {
    V x;
    V y;
    load(x, a + i);
    load(y, b + i);
    store(x + y, sum + i);
    store(x - y, difference + i);
  }
  for (; i < n; ++i) {
    const T x = a[i];
    const T y = b[i];
    sum[i] = x + y;
    difference[i] = x - y;
  }
}

// Interleaved: re_0, im_0, re_1, ...
template <class V, class T>
ISOTAPE_INLINE void store_pairs(const V& re, const V& im, T* to) {
  store(__builtin_shufflevector(re, im, 0, 8, 1, 9, 2, 10, 3, 11), to);
  store(__builtin_shufflevector(re, im, 4, 12, 5, 13, 6, 14, 7, 15), to + eight);
}
template <class V, class T>
ISOTAPE_INLINE void load_pairs(const T* from, V& re, V& im) {
  V low;
  V high;
  load(low, from);
  load(high, from + eight);
  re = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  im = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
}

template <class T>
ISOTAPE_INLINE void join(std::int64_t n, const T* pr, const T* ps, const T* qr, const T* qs, T* a,
                         T* b) {
  using V = typename Vector<T>::Type;
  std::int64_t i = 0;
  for (; i + eight <= n; i += eight) {
    V vpr;
    V vps;
    V vqr;
    V vqs;
    load(vpr, pr + i);
    load(vps, ps + i);
    load(vqr, qr + i);
    load(vqs, qs + i);
    store_pairs<V>(vpr - vqs, -(vps + vqr), a + 2 * i);
    store_pairs<V>(vpr + vqs, vqr - vps, b + 2 * i);
  }
  for (; i < n; ++i) {
    a[2 * i] = pr[i] - qs[i];
    a[2 * i + 1] = -(ps[i] + qr[i]);
    b[2 * i] = pr[i] + qs[i];
    b[2 * i + 1] = qr[i] - ps[i];
  }
}

template <class T>
ISOTAPE_INLINE void split(std::int64_t n, const T* a, const T* b, T* pr, T* ps, T* qr, T* qs) {
  using V = typename Vector<T>::Type;
  std::int64_t i = 0;
  for (; i + eight <= n; i += eight) {
    V a_re;
    V a_im;
    V b_re;
    V b_im;
    load_pairs(a + 2 * i, a_re, a_im);
    load_pairs(b + 2 * i, b_re, b_im);
    store<V>(a_re + b_re, pr + i);
    store<V>(-(a_im + b_im), ps + i);
    store<V>(b_im - a_im, qr + i);
    store<V>(b_re - a_re, qs + i);
  }
  for (; i < n; ++i) {
    pr[i] = a[2 * i] + b[2 * i];
    ps[i] = -(a[2 * i + 1] + b[2 * i + 1]);
    qr[i] = b[2 * i + 1] - a[2 * i + 1];
    qs[i] = b[2 * i] - a[2 * i];
  }
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define ISOTAPE_INSTANTIATE(T)                                                                \
  ISOTAPE_CLONES void sum_and_difference(std::int64_t n, const T* a, const T* b, T* sum,      \
                                         T* difference) {                                     \
    sum_and_difference_of(n, a, b, sum, difference);                                          \
  }                                                                                           \
  ISOTAPE_CLONES void join_frequencies(std::int64_t n, const T* pr, const T* ps, const T* qr, \
                                       const T* qs, T* a, T* b) {                             \
    join(n, pr, ps, qr, qs, a, b);                                                            \
  }                                                                                           \
  ISOTAPE_CLONES void split_frequencies(std::int64_t n, const T* a, const T* b, T* pr, T* ps, \
                                        T* qr, T* qs) {                                       \
    split(n, a, b, pr, ps, qr, qs);                                                           \
  }
ISOTAPE_INSTANTIATE(float)
ISOTAPE_INSTANTIATE(double)
#undef ISOTAPE_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace isotape
