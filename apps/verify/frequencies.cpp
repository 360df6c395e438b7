#include <isotape/apps/verify/frequencies.hpp>

#include <cmath>
#include <numbers>

#include <isotape/apps/verify/arithmetic.hpp>
#include <isotape/apps/verify/composite.hpp>
#include <isotape/apps/verify/linear_map.hpp>
#include <isotape/apps/verify/matrix_enclosure.hpp>

namespace isotape::verify {
namespace {

using Numbers = std::vector<double>;

constexpr std::int64_t longest_side = 1024;

// The matrices of a layer on images: [F, I, O, 2].
const StoredTensor& matrices(const Layer& layer, const WeightsFile& weights) {
  const Operation& o = *layer.op;
  const StoredTensor& w = weights.at(o.weight, 4);
  const Extents& in = layer.in;
  expect(!in.flat && in.rows <= longest_side && in.columns <= longest_side, o,
         "an image of at most 1024 x 1024 pixels", in);
  expect(w.shape[0] == (in.rows / 2 + 1) * in.columns && w.shape[3] == 2, o,
         "a complex matrix for each of the image's " +
             std::to_string((in.rows / 2 + 1) * in.columns) + " frequencies",
         in);
  return w;
}

// The real form of a complex matrix, [2 columns, 2 rows], acting on (re, im) of each input.
void append_real_form(const float* from, std::int64_t rows, std::int64_t columns, bool adjoint,
                      Numbers& to) {
  const std::int64_t outputs = adjoint ? rows : columns;
  const std::int64_t inputs = adjoint ? columns : rows;
  const auto entry = [&](std::int64_t o, std::int64_t i) {
    return from + 2 * (adjoint ? o * columns + i : i * columns + o);
  };
  const double sign = adjoint ? -1 : 1;
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (const bool imaginary : {false, true}) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const auto re = static_cast<double>(entry(o, i)[0]);
        const auto im = sign * static_cast<double>(entry(o, i)[1]);
        to.push_back(imaginary ? im : re);
        to.push_back(imaginary ? re : -im);
      }
    }
  }
}

// A map of channels on the layer's images by rows first, first + 1, .. of each matrix.
Layer map_of(const Layer& layer, const StoredTensor& w, std::int64_t first, std::int64_t rows,
             bool adjoint) {
  Layer map;
  map.op = layer.op;
  map.in = map.out = layer.in;
  map.in.channels = adjoint ? w.shape[2] : rows;
  map.out.channels = adjoint ? rows : w.shape[2];
  map.bias.assign(map.out.channels, 0);
  for (std::int64_t f = 0; f < w.shape[0]; ++f) {
    const float* from = w.entries.data() + 2 * (f * w.shape[1] + first) * w.shape[2];
    append_real_form(from, rows, w.shape[2], adjoint, map.weight);
  }
  return map;
}

// As `absolute_bound`, the largest sums over all frequencies.
double largest_sums(const StoredTensor& w) {
  const std::int64_t columns = w.shape[2];
  double row = 0;
  double column = 0;
  for (std::int64_t f = 0; f < w.shape[0]; ++f) {
    const float* from = w.entries.data() + 2 * f * w.shape[1] * columns;
    Numbers rows(w.shape[1]);
    Numbers sums(columns);
    for (std::int64_t e = 0; e < w.shape[1] * columns; ++e) {
      const double size = static_cast<double>(std::abs(from[2 * e])) +
                          static_cast<double>(std::abs(from[2 * e + 1]));
      rows[e / columns] += size;
      sums[e % columns] += size;
    }
    row = std::max(row, *std::max_element(rows.begin(), rows.end()));
    column = std::max(column, *std::max_element(sums.begin(), sums.end()));
  }
  const auto terms = static_cast<double>(2 * (w.shape[1] + columns));
  return sqrt_up(mul_up(inflated(row, terms), inflated(column, terms)));
}

// U along the rows' axis, [2 (H/2 + 1), H]: of the frequency u the real part, then the imaginary
// one; where -u is another frequency, times sqrt(2) for it.
Numbers half_transform(std::int64_t n) {
  Numbers table;
  for (std::int64_t u = 0; u <= n / 2; ++u) {
    const bool twice = 2 * u % n != 0;
    const double scale = std::sqrt((twice ? 2.0 : 1.0) / static_cast<double>(n));
    for (const bool imaginary : {false, true}) {
      for (std::int64_t i = 0; i < n; ++i) {
        const double turn = static_cast<double>(u * i % n) / static_cast<double>(n);
        const double angle = 2 * std::numbers::pi * turn;
        table.push_back(scale * (imaginary ? -std::sin(angle) : std::cos(angle)));
      }
    }
  }
  return table;
}

// Along the columns' axis, of complex numbers: [2 W, 2 W].
Numbers whole_transform(std::int64_t n) {
  Numbers table;
  const double scale = 1 / std::sqrt(static_cast<double>(n));
  for (std::int64_t v = 0; v < n; ++v) {
    for (const bool imaginary : {false, true}) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double turn = static_cast<double>(v * j % n) / static_cast<double>(n);
        const double cosine = scale * std::cos(2 * std::numbers::pi * turn);
        const double sine = scale * std::sin(2 * std::numbers::pi * turn);
        table.push_back(imaginary ? -sine : cosine);
        table.push_back(imaginary ? cosine : sine);
      }
    }
  }
  return table;
}

Numbers transposed(const Numbers& table, std::int64_t rows, std::int64_t columns) {
  Numbers result(table.size());
  for (std::int64_t e = 0; e < rows * columns; ++e) {
    result[e % columns * rows + e / columns] = table[e];
  }
  return result;
}

// Every line of entries along one axis, `from(line, k)` for k < m, becomes table times the line,
// at `to(line, k)` for k < n.
template <class From, class To>
void along(const Numbers& table, std::int64_t n, std::int64_t m, std::int64_t lines, const Block& x,
           Block& y, From&& from, To&& to) {
  Block line(m);
  Block image(n);
  for (std::int64_t i = 0; i < lines; ++i) {
    for (std::int64_t k = 0; k < m; ++k) copy(x.at(from(i, k)), line.at(k));
    multiply(n, m, table.data(), line.at(0), image.at(0));
    for (std::int64_t k = 0; k < n; ++k) copy(image.at(k), y.at(to(i, k)));
  }
}

// Where things stand: pixels [H, W, C], half spectra [H/2 + 1, W, C, 2].
struct Grid {
  std::int64_t rows, columns, channels;

  std::int64_t half() const { return rows / 2 + 1; }
  std::int64_t spectrum() const { return half() * columns * channels * 2; }
  // Of line (column, channel), along the rows.
  std::int64_t pixel(std::int64_t line, std::int64_t i) const {
    return i * columns * channels + line;
  }
  std::int64_t half_entry(std::int64_t line, std::int64_t k) const {
    return (k / 2 * columns * channels + line) * 2 + k % 2;
  }
  // Of line (u, channel), along the columns.
  std::int64_t entry(std::int64_t line, std::int64_t k) const {
    return ((line / channels * columns + k / 2) * channels + line % channels) * 2 + k % 2;
  }
};

Block transform(const Grid& g, const Block& x) {
  Block half(g.spectrum());
  along(
      half_transform(g.rows), 2 * g.half(), g.rows, g.columns * g.channels, x, half,
      [&](auto line, auto i) { return g.pixel(line, i); },
      [&](auto line, auto k) { return g.half_entry(line, k); });
  const auto at = [&](std::int64_t line, std::int64_t k) { return g.entry(line, k); };
  Block y(g.spectrum());
  along(whole_transform(g.columns), 2 * g.columns, 2 * g.columns, g.half() * g.channels, half, y,
        at, at);
  return y;
}

// The transpose of transform().
Block restored(const Grid& g, const Block& y) {
  const std::int64_t n = 2 * g.columns;
  const auto at = [&](std::int64_t line, std::int64_t k) { return g.entry(line, k); };
  Block half(g.spectrum());
  along(transposed(whole_transform(g.columns), n, n), n, n, g.half() * g.channels, y, half, at, at);
  Block x(g.rows * g.columns * g.channels);
  along(
      transposed(half_transform(g.rows), 2 * g.half(), g.rows), g.rows, 2 * g.half(),
      g.columns * g.channels, half, x, [&](auto line, auto k) { return g.half_entry(line, k); },
      [&](auto line, auto i) { return g.pixel(line, i); });
  return x;
}

}  // namespace

void resolve_frequencies(Layer& layer, const WeightsFile& weights) {
  const StoredTensor& w = matrices(layer, weights);
  expect(w.shape[1] == layer.in.channels, *layer.op,
         std::to_string(w.shape[1]) + " channels, the rows of each matrix", layer.in);
  layer.filters = w.shape;
  layer.out.channels = w.shape[2];
  layer.products = 2 * std::max(w.shape[1], w.shape[2]);
  layer.absolute = largest_sums(w);
  layer.weight = map_of(layer, w, 0, w.shape[1], false).weight;
  add_bias(layer, weights);
}

void resolve_frequency_sandwich(Layer& layer, const WeightsFile& weights) {
  const StoredTensor& w = matrices(layer, weights);
  const std::int64_t p = layer.in.channels;
  const std::int64_t q = w.shape[2];
  expect(w.shape[1] == p + q, *layer.op,
         "as many channels as each matrix has rows beyond its columns", layer.in);
  layer.filters = w.shape;
  layer.out.channels = q;
  layer.products = 2 * std::max(p, q);
  layer.absolute = largest_sums(w);
  resolve_activation(layer, weights);
  layer.maps = {map_of(layer, w, q, p, false), map_of(layer, w, 0, q, true)};
}

// A complex matrix a + i b has the singular values of [[a, -b], [b, a]].
Enclosure frequencies_enclosure(const Layer& layer, const WeightsFile& weights) {
  const StoredTensor& w = weights.at(layer.op->weight, layer.filters);
  const std::int64_t rows = w.shape[1];
  const std::int64_t columns = w.shape[2];
  Enclosure all{0, 0};
  std::vector<float> real(4 * rows * columns);
  for (std::int64_t f = 0; f < w.shape[0]; ++f) {
    for (std::int64_t e = 0; e < rows * columns; ++e) {
      const float* from = w.entries.data() + 2 * (f * rows * columns + e);
      float* to = real.data() + e / columns * 2 * columns + e % columns;
      to[0] = to[2 * rows * columns + columns] = from[0];
      to[2 * rows * columns] = from[1];
      to[columns] = -from[1];
    }
    all.upper = std::max(all.upper, matrix_enclosure(real, 2 * rows, 2 * columns).upper);
  }
  return all;
}

Block frequencies(const Layer& layer, const Block& x) {
  const Extents& in = layer.in;
  const Block spectrum = transform({in.rows, in.columns, in.channels}, x);
  const std::int64_t inputs = 2 * in.channels;
  const std::int64_t outputs = 2 * layer.out.channels;
  const std::int64_t count = (in.rows / 2 + 1) * in.columns;
  Block product(count * outputs);
  for (std::int64_t f = 0; f < count; ++f) {
    multiply(outputs, inputs, layer.weight.data() + f * outputs * inputs, spectrum.at(f * inputs),
             product.at(f * outputs));
  }
  Block y = restored({in.rows, in.columns, layer.out.channels}, product);
  add_bias(layer, y);
  return y;
}

}  // namespace isotape::verify
