(() => {
  "use strict";
  const {data, short, axis, line, fromZero} = chart;

  const logarithmic = {distr: 3};
  const maker = plot => () => {
    const few = plot.x.length < 24;
    return {
      options: {
        height: 360,
        scales: {x: {time: false}, y: plot.logarithmic ? logarithmic : fromZero},
        axes: [axis(plot.x_label), axis(plot.y_label, {size: 70,
          values: (u, ticks) => ticks.map(t => t == null ? "" : short(t))})],
        series: [{label: plot.x_label, value: (u, v) => short(v)},
          ...plot.series.map((series, i) =>
            line(series.label, i, short, {spanGaps: true, points: {show: few, size: 5}}))],
      },
      values: [plot.x, ...plot.series.map(series => series.y)],
    };
  };
  chart.draw(Object.fromEntries(data.plots.map(plot => ["plot-" + plot.id, maker(plot)])));
})();
