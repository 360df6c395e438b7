(() => {
  "use strict";
  const {data, color, fixed, short, axis, line, percent, percentScale, fromZero, ranged, padded} = chart;

  // Dashed verticals at the radii that the run reports.
  const marks = {
    hooks: {
      draw: [u => {
        const {ctx, bbox} = u;
        ctx.save();
        ctx.strokeStyle = color("--muted");
        ctx.fillStyle = color("--muted");
        ctx.font = devicePixelRatio * 11 + "px system-ui, sans-serif";
        ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
        data.eps.forEach((eps, i) => {
          const x = Math.round(u.valToPos(eps.value, "x", true));
          if (x > bbox.left + bbox.width) return;
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          const left = x > bbox.left + bbox.width * 0.9;
          ctx.textAlign = left ? "right" : "left";
          ctx.fillText(eps.text, x + (left ? -4 : 4) * devicePixelRatio,
                       bbox.top + bbox.height - (6 + 14 * (i % 3)) * devicePixelRatio);
        });
        ctx.restore();
      }],
    },
  };

  const epochs = data.epochs;
  const column = key => epochs.map(epoch => epoch[key]);
  const makers = {
    "plot-loss": () => ({
      options: {
        scales: {x: padded, y: ranged(data.loss.map(p => p.loss))},
        axes: [axis("epochs"), axis("loss", {size: 60, values: (u, ticks) => ticks.map(short)})],
        series: [{label: "epoch", value: (u, v) => short(v)}, line("loss", 0, short)],
      },
      values: [data.loss.map(p => p.epoch), data.loss.map(p => p.loss)],
    }),
    "plot-accuracy": () => ({
      options: {
        scales: {x: padded, y: percentScale},
        axes: [axis("epochs", {incrs: [1, 2, 5, 10, 20, 50, 100]}), axis("% of test images")],
        series: [{label: "epoch"},
          line("clean", 0, percent, {points: {show: epochs.length < 30, size: 6}}),
          ...data.eps.map((eps, i) => line("certified at " + eps.text, i + 1, percent,
                                           {points: {show: epochs.length < 30, size: 6}}))],
      },
      values: [column("epoch"), column("clean"),
        ...data.eps.map((eps, i) => epochs.map(epoch => epoch.certified[i]))],
    }),
    "plot-curve": () => ({
      options: {
        plugins: [marks],
        scales: {x: padded, y: percentScale},
        axes: [axis("radius eps (l2, raw pixels)"), axis("% of test images")],
        series: [{label: "eps", value: (u, v) => short(v)},
          line("certified beyond eps", 0, percent,
               {paths: uPlot.paths.stepped({align: 1}), fill: color("--s0") + "1f"})],
      },
      values: [data.curve.eps, data.curve.percent],
    }),
    "plot-sigmas": () => ({
      options: {
        scales: {x: {time: false, range: () => [0, 100]}, y: fromZero},
        axes: [axis("% of the layer's singular values, largest first"), axis("singular value")],
        series: [{label: "part", value: (u, v) => v == null ? "-" : fixed(v, 0) + " %"},
          ...data.sigmas.map((layer, i) => line(layer.name, i, v => fixed(v, 4)))],
      },
      values: [data.grid, ...data.sigmas.map(layer => layer.values)],
    }),
    "plot-gradients": () => {
      const norms = data.gradients.map(g => g.norm);
      const lows = data.gradients.map(g => g.low);
      const highs = data.gradients.map(g => g.high);
      const thin = {width: 0.75, dash: [3, 3]};
      return {
        options: {
          scales: {x: {time: false, range: () => [-0.3, norms.length - 0.7]},
                   y: ranged([...norms, ...lows, ...highs])},
          axes: [axis("", {labelSize: 0, size: 76, rotate: -45, incrs: [1, 2, 4, 8],
                           values: (u, ticks) => ticks.map(t => data.gradients[t]?.layer ?? "")}),
                 axis("l2 norm", {size: 64, values: (u, ticks) => ticks.map(short)})],
          series: [{label: "layer", value: (u, v) => v == null ? "-" : data.gradients[v].layer},
            line("gradient norm", 0, short, {points: {show: true, size: 7}}),
            line("5 % of the images below", 0, short, thin),
            line("95 % below", 0, short, thin)],
        },
        values: [norms.map((n, i) => i), norms, lows, highs],
      };
    },
  };

  chart.draw(makers);
})();
