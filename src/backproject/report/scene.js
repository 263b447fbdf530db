// The 3D views and the curves of a report: what to draw is in #scene-data and #curve-data.
"use strict";

(() => {
  const ARRAYS = {
    uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array,
  };
  const INK = "#2b2f36", QUIET = "#7a808a";

  const byId = (id) => document.getElementById(id);
  const read = (id) => byId(id) && JSON.parse(byId(id).textContent);

  const unpacked = ({ type, bytes }) => {
    const raw = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
    return new ARRAYS[type](raw.buffer);
  };

  const once = (make) => {
    let made;
    return () => (made ??= make());
  };

  // ---- what can be drawn: traces, each made when it is first asked for

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const hexOf = (channels) =>
    "#" + (0x1000000 + (channels[0] << 16) + (channels[1] << 8) + channels[2]).toString(16).slice(1);

  // `contrast` below 1 softens the shadows, where the colours have something to say.
  const lit = (light, colorAt, contrast) => {
    const seen = new Map();
    return Array.from(light, (level, k) => {
      const color = colorAt(k);
      const name = color + level;
      if (!seen.has(name)) {
        const share = 1 + contrast * (level / 255 - 1);
        seen.set(name, hexOf(rgb(color).map((channel) => Math.round(channel * share))));
      }
      return seen.get(name);
    });
  };

  const surface = (mesh, colors) => ({
    type: "mesh3d",
    ...Object.fromEntries(["x", "y", "z"].map((axis, k) => [axis, mesh.place[k]])),
    ...Object.fromEntries(["i", "j", "k"].map((corner, k) => [corner, mesh.faces[k]])),
    ...colors,
    lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 },
    hoverinfo: "skip",
    showscale: false,
  });

  const tracesOf = (data) => {
    const meshes = Object.fromEntries(Object.entries(data.meshes).map(([name, mesh]) => [name, {
      place: mesh.place.map(unpacked),
      faces: mesh.faces.map(unpacked),
      light: unpacked(mesh.light),
      error: mesh.error && unpacked(mesh.error),
      unseen: mesh.unseen && unpacked(mesh.unseen),
      color: mesh.color && unpacked(mesh.color),
    }]));
    const { mesh, truth } = meshes;
    const colors = data.colors;
    const painted = (which, colorAt, contrast = 1) =>
      once(() => surface(which, { vertexcolor: lit(which.light, colorAt, contrast) }));
    const solid = painted(mesh, () => colors.mesh);
    const overlaid = painted(truth, () => colors.truth);
    const alone = painted(truth, () => colors.mesh);
    const error = painted(mesh, (k) => colors.error[mesh.error[k]], 0.5);
    const shown = painted(mesh, (k) => hexOf(mesh.color.subarray(3 * k, 3 * k + 3)), 0.3);
    const seen = painted(mesh, (k) => (mesh.unseen[k] ? colors.unseen : colors.mesh));
    return {
      surface: {
        mesh: () => [solid()],
        color: () => [shown()],
        truth: () => [alone()],
        overlay: () => [solid(), overlaid()],
        error: () => [error()],
        seen: () => [seen()],
        none: () => [],
      },
      points: once(() => [pointsOf(data.cloud)]),
      cameras: once(() => camerasOf(data.cameras, colors)),
    };
  };

  const pointsOf = ({ place, view, colors }) => {
    const [x, y, z] = place.map(unpacked);
    const last = Math.max(colors.length - 1, 1);
    const stops = colors.map((color, k) => [k / last, color]);
    return {
      type: "scatter3d", mode: "markers", x, y, z,
      marker: {
        size: 1.6, color: unpacked(view), cmin: 0, cmax: last, line: { width: 0 },
        colorscale: stops.length > 1 ? stops : [[0, colors[0]], [1, colors[0]]],
      },
      hoverinfo: "skip",
    };
  };

  const camerasOf = ({ outline, place, faces, share }, colors) => {
    const [x, y, z] = outline.map((axis) => Array.from(unpacked(axis), (v) => (isNaN(v) ? null : v)));
    const lines = {
      type: "scatter3d", mode: "lines", x, y, z,
      line: { color: colors.frusta, width: 1.5 }, hoverinfo: "skip",
    };
    const pictures = surface({ place: place.map(unpacked), faces: faces.map(unpacked) }, {
      intensity: unpacked(share), intensitymode: "cell", cmin: 0, cmax: 1, colorscale: colors.depth,
    });
    return [lines, pictures];
  };

  // ---- the two views

  const SIDES = {
    front: [[0, -1, 0], [0, 0, 1]], back: [[0, 1, 0], [0, 0, 1]],
    left: [[-1, 0, 0], [0, 0, 1]], right: [[1, 0, 0], [0, 0, 1]],
    above: [[0, -0.001, 1], [0, 0, 1]], below: [[0, -0.001, -1], [0, 0, 1]],
  };
  const NEAR = 1.4; // from the eye to the object's centre, in diameters: all of it is seen

  const point = ([x, y, z]) => ({ x, y, z });

  // Without any trace in 3D the library would take the 3D view away.
  const ANCHOR = {
    type: "scatter3d", mode: "markers", x: [0], y: [0], z: [0],
    marker: { size: 1, opacity: 0 }, hoverinfo: "skip",
  };

  const showScene = (data) => {
    const traces = tracesOf(data);
    const plots = [0, 1].map((side) => byId(`plot-${side}`));
    const cube = 2 * data.half; // the library makes this side 1
    const looking = ([direction, up], distance) => ({
      eye: point(direction.map((axis) => (axis * distance) / cube)),
      center: point([0, 0, 0]),
      up: point(up),
    });
    let camera = looking([data.front, [0, 0, 1]], NEAR);

    const axis = { visible: false, range: [-data.half, data.half], autorange: false };
    const layout = () => ({
      scene: {
        xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "cube", dragmode: "turntable", camera,
        hovermode: false,
      },
      margin: { l: 0, r: 0, t: 0, b: 0 },
      hovermode: false, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", uirevision: "kept",
    });

    const chosen = (side) => ({
      surface: document.querySelector(`input[name=surface-${side}]:checked`)?.value ?? "mesh",
      points: byId("in-3d").querySelector(`input[name=points-${side}]`)?.checked ?? false,
      cameras: byId("in-3d").querySelector(`input[name=cameras-${side}]`)?.checked ?? false,
    });
    const drawn = (side) => {
      const wanted = chosen(side);
      return [
        ANCHOR,
        ...traces.surface[wanted.surface](),
        ...(wanted.points && data.cloud ? traces.points() : []),
        ...(wanted.cameras && data.cameras ? traces.cameras() : []),
      ];
    };
    const draw = (side) =>
      Plotly.react(plots[side], drawn(side), layout(), { displayModeBar: false, responsive: true });

    // Both eyes move together. A view that is told to turn says so: that is not listened to.
    const told = [new Set(), new Set()];
    const turn = (side, to) => {
      told[side].add(JSON.stringify(to));
      return Plotly.relayout(plots[side], { "scene.camera": to });
    };
    const follow = (side) => (event) => {
      const moved = event["scene.camera"];
      if (!moved || told[side].delete(JSON.stringify(moved))) return;
      camera = moved;
      if (byId("linked").checked) turn(1 - side, moved);
    };
    const lookFrom = (to) => {
      camera = to;
      return turn(0, to).then(() => turn(1, to));
    };
    const look = (name) => {
      if (name === "start") return lookFrom(looking([data.front, [0, 0, 1]], NEAR));
      if (name in SIDES) return lookFrom(looking(SIDES[name], NEAR));
      return lookFrom(looking([data.cameras.eye[name], [0, 0, 1]], NEAR));
    };

    byId("look").addEventListener("change", (event) => look(event.target.value));
    byId("linked").addEventListener("change", (event) => event.target.checked && lookFrom(camera));
    for (const button of document.querySelectorAll("button[data-look]")) {
      button.addEventListener("click", () => {
        byId("look").value = button.dataset.look;
        look(button.dataset.look);
        byId("in-3d").scrollIntoView({ behavior: "smooth" });
      });
    }
    for (const side of [0, 1]) {
      for (const input of plots[side].parentNode.querySelectorAll("input")) {
        input.addEventListener("change", () => draw(side));
      }
    }
    // Cameras stand around the object: step back far enough to see them.
    const stepBack = () => {
      const { x, y, z } = camera.eye;
      const distance = Math.hypot(x, y, z) * cube;
      if (distance >= data.far) return;
      lookFrom({ ...camera, eye: point([x, y, z].map((v) => (v * data.far) / distance)) });
    };
    for (const input of document.querySelectorAll("input[value=cameras]")) {
      input.addEventListener("change", () => input.checked && stepBack());
    }

    return Promise.all([draw(0), draw(1)]).then(() => {
      plots.forEach((plot, side) => {
        plot.on("plotly_relayouting", follow(side));
        plot.on("plotly_relayout", follow(side));
      });
      document.body.classList.add("drawn");
    });
  };

  // ---- the curves

  const showCurves = (data) => {
    const [low, high] = data.span.map((end) => Math.round(Math.log10(end)));
    const ticks = Array.from({ length: high - low + 1 }, (_, k) => low + k);
    const axes = {
      xaxis: {
        type: "log", range: [low, high], gridcolor: "#eceef1", zeroline: false,
        tickvals: ticks.map((power) => 10 ** power), ticktext: ticks.map((power) => `1e${power}`),
        title: { text: "distance, in diameters" },
      },
      font: { family: "inherit", color: INK, size: 12 },
      margin: { l: 44, r: 8, t: 40, b: 44 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { color: QUIET } },
      shapes: data.tau.map((tau) => ({
        type: "line", x0: tau, x1: tau, yref: "paper", y0: 0, y1: 1,
        line: { color: QUIET, width: 1, dash: "dot" },
      })),
      hovermode: "x", dragmode: false,
    };
    const percent = () => ({ tickformat: ".0%", gridcolor: "#eceef1", rangemode: "tozero" });
    const shown = { displayModeBar: false, responsive: true };
    Plotly.newPlot("histogram", data.sides.map((side) => ({
      type: "scatter", mode: "lines", x: data.middle, y: side.share, name: side.name,
      line: { color: side.color, width: 1.5, shape: "hvh" }, fill: "tozeroy",
      hovertemplate: "%{x:.1e}: %{y:.2%}<extra></extra>",
    })), { ...axes, yaxis: percent() }, shown);
    Plotly.newPlot("cumulative", data.sides.map((side) => ({
      type: "scatter", mode: "lines", x: data.edge, y: side.within, name: side.name,
      line: { color: side.color, width: 2 },
      hovertemplate: "%{y:.2%} within %{x:.1e}<extra></extra>",
    })), { ...axes, yaxis: { ...percent(), range: [0, 1.01] } }, shown);
  };

  const canDraw = () => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  };

  const curves = read("curve-data");
  if (curves) showCurves(curves);
  if (canDraw()) {
    document.body.classList.add("turns");
    showScene(read("scene-data"));
  } else {
    byId("no-webgl").textContent =
      "This browser cannot draw in 3D (WebGL is off): here are pictures instead.";
  }
})();
