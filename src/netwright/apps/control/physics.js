"use strict";
// The machines of netwright.environments, one state at a time: the same arithmetic, in the same order.
const cut = (a) => Math.max(-1, Math.min(1, a));
const clamp = (v, low, high) => Math.max(low, Math.min(high, v));
const wrap = (a) => a - 2 * Math.PI * Math.floor((a + Math.PI) / (2 * Math.PI));
const { sin, cos, PI } = Math;

function poleOnCart(edge) {
  return {
    seconds: 0.02,
    step(s, a, m) {
      const [x, v, angle, spin] = s, force = 10 * m.gain * cut(a[0]);
      const total = m.cart + m.pole, moment = m.pole * m.length;
      const push = (force + moment * spin * spin * sin(angle)) / total;
      const turn = (m.gravity * sin(angle) - cos(angle) * push) /
        (m.length * (4 / 3 - m.pole * cos(angle) ** 2 / total));
      const pull = push - moment * turn * cos(angle) / total;
      return [x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn];
    },
    see: (s) => [s[0] / edge, s[1] / 5, cos(s[2]), sin(s[2]), s[3] / 10],
    view: [-2.6, 2.6, -1.8, 1.8],
    sketch(s, m) {
      const half = 0.15 + 0.1 * m.cart;
      return [["line", -edge, 0, edge, 0, 0.02, "faint"], ["line", s[0] - half, 0, s[0] + half, 0, 0.2, "ink"],
        ["line", s[0], 0.05, s[0] + 2 * m.length * sin(s[2]), 0.05 + 2 * m.length * cos(s[2]), 0.08, "accent"]];
    },
  };
}

const FIVE = [0, 1, 2, 3, 4], FIELD = FIVE.flatMap(() => FIVE).map((_, c) => c);
const LINES = new Map();

function linesOf(m) {
  // What a family of games does not know is not so.
  const names = ["width", "height", "line", "diagonals", "joined", "without_rows", "without_columns", "one_slope", "ends_joined"];
  const rule = names.map((name) => Math.round(m[name] || 0)), [w, h, k, diagonals, joined, rowless, columnless, slope, ends] = rule;
  if (!LINES.has(String(rule))) {
    const found = new Map(), directions = [...(rowless ? [] : [[1, 0]]), ...(columnless ? [] : [[0, 1]]), ...(diagonals ? [[1, 1]] : []),
      ...(diagonals && !slope ? [[1, -1]] : [])];
    for (let x = 0; x < w; x++) for (let y = 0; y < h; y++) for (const [dx, dy] of directions) {
      const line = [];
      for (let i = 0; i < k; i++) {
        const px = joined ? (x + i * dx) % w : x + i * dx, py = ends ? (y + i * dy + k * h) % h : y + i * dy;
        if (px < w && py >= 0 && py < h) line.push(5 * py + px);
      }
      if (new Set(line).size === k) found.set(String(line.sort((a, b) => a - b)), line);
    }
    LINES.set(String(rule), [...found.values()]);
  }
  return LINES.get(String(rule));
}

// Stones, own and the opponent's, three numbers of luck, whether the opponent is to open, how often it looks ahead, the result.
function connectK(skills) {
  const moduli = [30269, 30307, 30323];
  const part = (s) => ({ mine: s.slice(0, 25), theirs: s.slice(25, 50), luck: s.slice(50, 53), waits: s[53], skill: s[54], result: s[55] });
  const free = (g, m) => FIELD.map((c) => c % 5 < m.width && Math.floor(c / 5) < m.height && !g.mine[c] && !g.theirs[c] &&
    (m.gravity <= 0.5 || c < 5 || g.mine[c - 5] + g.theirs[c - 5] > 0.5));
  const completing = (stones, m) => {
    const found = FIELD.map(() => false);
    for (const line of linesOf(m)) {
      const lacking = line.filter((c) => !stones[c]);
      if (lacking.length === 1) found[lacking[0]] = true;
    }
    return found;
  };
  const drawn = (g) => {
    g.luck = g.luck.map((v, i) => v * [171, 172, 170][i] % moduli[i]);
    return g.luck.reduce((sum, v, i) => sum + v / moduli[i], 0) % 1;
  };
  const picked = (cells, share) => {
    const there = FIELD.filter((c) => cells[c]);
    return there[Math.min(Math.floor(share * there.length), there.length - 1)];
  };
  const opened = (s, m) => {
    const g = part(s);
    if (g.waits > 0.5) {
      const cells = free(g, m);
      g.theirs[picked(cells, drawn(g))] = 1;
      g.waits = 0;
    }
    return g;
  };
  const first = (...choices) => choices.find((cells) => cells.some(Boolean)) || choices[choices.length - 1];
  return {
    seconds: 0.8,
    discrete: true,
    temperature: 0,
    pause: 1.5,
    start: () => [...Array(50).fill(0), ...moduli.map(() => 1 + Math.floor(29999 * Math.random())), Math.random() < 0.5 ? 0 : 1,
      skills[Math.floor(skills.length * Math.random())], 0],
    legal(s, m) { return s[55] ? FIELD.map(() => false) : free(opened(s, m), m); },
    step(s, a, m) {
      if (s[55]) return s;
      const g = opened(s, m), cells = free(g, m), misere = m.misere > 0.5;
      const key = FIELD.filter((c) => cells[c]).reduce((best, c) => (best < 0 || a[c] > a[best] ? c : best), -1);
      const completes = completing(g.mine, m)[key];
      g.mine[key] = 1;
      const left = free(g, m), own = completing(g.theirs, m), other = completing(g.mine, m);
      const share = drawn(g), looks = drawn(g) < g.skill, both = (one, two) => one.map((v, i) => v && two[i]);
      let choice = left, answered = false;
      if (looks) choice = misere ? first(left.map((v, i) => v && !own[i]), left) : first(both(left, own), both(left, other), left);
      if (!completes && left.some(Boolean)) {
        const reply = picked(choice, share);
        answered = own[reply];
        g.theirs[reply] = 1;
      }
      const won = misere ? answered : completes, lost = misere ? completes : answered;
      g.result = won ? 1 : lost ? -1 : free(g, m).some(Boolean) ? 0 : 2;
      return [...g.mine, ...g.theirs, ...g.luck, g.waits, g.skill, g.result];
    },
    see(s, m) { const g = opened(s, m); return [...g.mine, ...g.theirs]; },
    good: (s) => s[55] === 1,
    over: (s) => s[55] === -1 || s[55] === 2,
    view: [-0.8, 4.8, -0.8, 4.8],
    sketch(s, m) {
      const g = opened(s, m), shapes = [];
      for (let i = 0; i <= m.width; i++) shapes.push(["line", i - 0.5, -0.5, i - 0.5, m.height - 0.5, 0.03, "faint"]);
      for (let i = 0; i <= m.height; i++) shapes.push(["line", -0.5, i - 0.5, m.width - 0.5, i - 0.5, 0.03, "faint"]);
      for (const y of [-0.5, m.height - 0.5]) shapes.push(["line", -0.5, y, m.width - 0.5, y, 0.06, m.ends_joined > 0.5 ? "accent" : "ink"]);
      for (const x of [-0.5, m.width - 0.5]) shapes.push(["line", x, -0.5, x, m.height - 0.5, 0.06, m.joined > 0.5 ? "accent" : "ink"]);
      FIELD.forEach((c) => { if (g.mine[c] || g.theirs[c]) shapes.push(["disc", c % 5, Math.floor(c / 5), 0.36, g.mine[c] ? "accent" : "ink"]); });
      if (s[55] === 0) return shapes;
      for (const stones of [g.mine, g.theirs]) for (const line of linesOf(m)) if (line.every((c) => stones[c]))
        line.forEach((c) => shapes.push(["disc", c % 5, Math.floor(c / 5), 0.12, "#ffffff"]));
      return shapes;
    },
  };
}

const MACHINES = {
  "connect-directions": connectK([0]),
  "connect-directions-looking-ahead": connectK([0, 0.5, 1]),
  "connect-k": connectK([0]),
  "connect-k-looking-ahead": connectK([0, 0.5, 1]),
  "pendulum": {
    seconds: 0.05,
    start: () => [PI + 0.2, 0],
    step(s, a, m) {
      const torque = 2 * m.gain * cut(a[0]) - m.friction * s[1];
      const inertia = m.mass * m.length * m.length / 3, lever = 1.5 * m.gravity / m.length;
      const speed = clamp(s[1] + (lever * sin(s[0]) + torque / inertia) * 0.05, -8, 8);
      return [s[0] + speed * 0.05, speed];
    },
    see: (s) => [cos(s[0]), sin(s[0]), s[1] / 8],
    good: (s) => cos(s[0]) > 0.95,
    view: [-1.6, 1.6, -1.6, 1.6],
    sketch(s, m) {
      const x = m.length * sin(s[0]), y = m.length * cos(s[0]);
      return [["line", 0, 0, x, y, 0.12, "accent"], ["disc", 0, 0, 0.07, "ink"], ["disc", x, y, 0.06 + 0.08 * m.mass, "ink"]];
    },
    nudge: (s) => [s[0], s[1] + 3],
  },
  "cart-pole": {
    ...poleOnCart(2.4),
    start: () => [0, 0, 0.04, 0],
    good: (s) => Math.abs(s[0]) <= 2.4 && Math.abs(s[2]) <= 0.20944,
    over: (s) => Math.abs(s[0]) > 2.4 || Math.abs(s[2]) > 0.20944,
    nudge: (s) => [s[0], s[1], s[2], s[3] + 0.4],
  },
  "cart-pole-swing-up": {
    ...poleOnCart(2.4),
    start: () => [0, 0, PI + 0.1, 0],
    good: (s) => Math.abs(s[0]) <= 2.4 && cos(s[2]) > 0.95,
    over: (s) => Math.abs(s[0]) > 2.4,
    nudge: (s) => [s[0], s[1], s[2], s[3] + 2],
  },
  "acrobot": {
    seconds: 0.2,
    start: () => [0.05, 0, 0, 0],
    slope(s, torque, m) {
      const m1 = m.upper, m2 = m.lower, l1 = m.length, c1 = 0.5 * l1, c2 = 0.5, g = 9.8;
      const [a, b, p, q] = s;
      const d1 = m1 * c1 ** 2 + m2 * (l1 ** 2 + c2 ** 2 + 2 * l1 * c2 * cos(b)) + 2;
      const d2 = m2 * (c2 ** 2 + l1 * c2 * cos(b)) + 1;
      const f2 = m2 * c2 * g * sin(a + b);
      const f1 = -m2 * l1 * c2 * q * q * sin(b) - 2 * m2 * l1 * c2 * q * p * sin(b) + (m1 * c1 + m2 * l1) * g * sin(a) + f2;
      const t2 = (torque + d2 / d1 * f1 - m2 * l1 * c2 * p * p * sin(b) - f2) / (m2 * c2 ** 2 + 1 - d2 ** 2 / d1);
      return [p, q, -(d2 * t2 + f1) / d1, t2];
    },
    step(s, a, m) {
      if (this.good(s, m)) return s;
      const torque = m.gain * cut(a[0]), dt = 0.2, add = (k, f) => s.map((v, i) => v + f * k[i]);
      const k1 = this.slope(s, torque, m), k2 = this.slope(add(k1, dt / 2), torque, m);
      const k3 = this.slope(add(k2, dt / 2), torque, m), k4 = this.slope(add(k3, dt), torque, m);
      const n = s.map((v, i) => v + dt / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]));
      return [wrap(n[0]), wrap(n[1]), clamp(n[2], -4 * PI, 4 * PI), clamp(n[3], -9 * PI, 9 * PI)];
    },
    see: (s) => [cos(s[0]), sin(s[0]), cos(s[1]), sin(s[1]), s[2] / 5, s[3] / 10],
    good: (s, m) => -m.length * cos(s[0]) - cos(s[0] + s[1]) > 1,
    view: [-2.4, 2.4, -2.4, 2.4],
    sketch(s, m) {
      const x = m.length * sin(s[0]), y = -m.length * cos(s[0]);
      return [["line", -2.2, 1, 2.2, 1, 0.02, "faint"], ["line", 0, 0, x, y, 0.1, "accent"],
        ["line", x, y, x + sin(s[0] + s[1]), y - cos(s[0] + s[1]), 0.1, "ink"], ["disc", 0, 0, 0.06, "ink"]];
    },
    nudge: () => [0.05, 0, 0, 0],
  },
  "grid-world": {
    seconds: 0.3,
    discrete: true,
    temperature: 0.5,
    colours: ["red", "green", "blue", "yellow"],
    start() {
      const at = [];
      while (at.length < 5) {
        const place = [Math.floor(Math.random() * 6), Math.floor(Math.random() * 6)];
        if (!at.some((other) => other[0] === place[0] && other[1] === place[1])) at.push(place);
      }
      return [...at.flat(), 1, 1, 1, 1];
    },
    step(s, a, m) {
      if (this.good(s, m)) return s;
      let [dx, dy] = [[0, 1], [0, -1], [-1, 0], [1, 0]][a.indexOf(Math.max(...a))];
      if (m.turned > 0.5) [dx, dy] = [dy, dx];
      const sign = 1 - 2 * m.inverted, x = clamp(s[0] + sign * dx, 0, 5), y = clamp(s[1] + sign * dy, 0, 5);
      const there = [0, 1, 2, 3].map((i) => s[10 + i] * (s[2 + 2 * i] === x && s[3 + 2 * i] === y ? 0 : 1));
      return [x, y, ...s.slice(2, 10), ...there];
    },
    see(s) {
      const away = [];
      for (let i = 0; i < 4; i++) away.push((s[2 + 2 * i] - s[0]) * s[10 + i] / 2, (s[3 + 2 * i] - s[1]) * s[10 + i] / 2);
      return [s[0] / 5 * 2 - 1, s[1] / 5 * 2 - 1, ...away, ...s.slice(10)];
    },
    good(s, m) { return this.colours.every((name, i) => m[name] <= 0.5 || s[10 + i] === 0); },
    view: [-0.8, 5.8, -0.8, 5.8],
    sketch(s, m) {
      const shapes = [], paint = { red: "#c8372d", green: "#2e8540", blue: "#2f6fd0", yellow: "#d9a400" };
      for (let i = 0; i < 7; i++) shapes.push(["line", i - 0.5, -0.5, i - 0.5, 5.5, 0.02, "faint"], ["line", -0.5, i - 0.5, 5.5, i - 0.5, 0.02, "faint"]);
      this.colours.forEach((name, i) => {
        if (s[10 + i] < 0.5) return;
        const x = s[2 + 2 * i], y = s[3 + 2 * i];
        shapes.push(["disc", x, y, 0.3, paint[name]]);
        if (m[name] < -0.5) shapes.push(["line", x - 0.3, y - 0.3, x + 0.3, y + 0.3, 0.08, "ink"]);
        else if (m[name] > 0.5) shapes.push(["disc", x, y, 0.1, "#ffffff"]);
      });
      return [...shapes, ["disc", s[0], s[1], 0.2, "ink"]];
    },
  },
  "mountain-car": {
    seconds: 0.04,
    start: () => [-0.5, 0],
    step(s, a, m) {
      if (this.good(s, m)) return s;
      let speed = clamp(s[1] * (1 - m.friction) + m.power * cut(a[0]) - m.gravity * cos(3 * s[0]), -0.07, 0.07);
      const place = clamp(s[0] + speed, -1.2, 0.6);
      if (place <= -1.2 && speed < 0) speed = 0;
      return [place, speed];
    },
    see: (s) => [(s[0] + 0.3) / 0.9, s[1] / 0.07],
    good: (s, m) => s[0] >= m.flag,
    view: [-1.25, 0.65, -0.6, 0.9],
    sketch(s, m) {
      const height = (x) => 0.45 * sin(3 * x), shapes = [];
      for (let i = 0; i < 40; i++) {
        const a = -1.2 + 1.8 * i / 40, b = -1.2 + 1.8 * (i + 1) / 40;
        shapes.push(["line", a, height(a), b, height(b), 0.02, "faint"]);
      }
      return [...shapes, ["line", m.flag, height(m.flag), m.flag, height(m.flag) + 0.25, 0.02, "ink"],
        ["disc", s[0], height(s[0]) + 0.05, 0.05, "accent"]];
    },
    nudge: () => [-0.5, 0],
  },
  "quadrotor": {
    seconds: 0.04,
    start: () => [-1.3, -0.9, 0, 0, 0, 0],
    step(s, a, m) {
      let [x, z, tilt, vx, vz, spin] = s;
      const left = cut(m.swap > 0.5 ? a[1] : a[0]), right = cut(m.swap > 0.5 ? a[0] : a[1]);
      const half = 0.5 * 9.81, dt = 0.04, liftLeft = m.left * half * (1 + left), liftRight = m.right * half * (1 + right);
      const lift = (liftLeft + liftRight) / m.mass;
      vx += dt * (-lift * sin(tilt) - m.drag * vx / m.mass);
      vz += dt * (lift * cos(tilt) - 9.81 - m.drag * vz / m.mass);
      spin = clamp(spin + dt * (liftRight - liftLeft) * m.arm / m.inertia, -15, 15);
      return [x + dt * vx, z + dt * vz, tilt + dt * spin, vx, vz, spin];
    },
    see: (s) => [s[0] / 1.5, s[1] / 1.5, cos(s[2]), sin(s[2]), s[3] / 2, s[4] / 2, s[5] / 5],
    good: (s) => s[0] ** 2 + s[1] ** 2 < 0.0625 && Math.abs(wrap(s[2])) < 0.8,
    over: (s) => Math.abs(s[0]) > 3 || Math.abs(s[1]) > 3,
    view: [-2.2, 2.2, -2.2, 2.2],
    sketch(s, m) {
      const [x, z, t] = s, a = 1.2 * m.arm, shapes = [["disc", 0, 0, 0.08, "faint"],
        ["line", x - a * cos(t), z - a * sin(t), x + a * cos(t), z + a * sin(t), 0.07, "ink"]];
      for (const side of [-1, 1]) {
        const px = x + side * a * cos(t), pz = z + side * a * sin(t), rx = px - 0.12 * sin(t), rz = pz + 0.12 * cos(t);
        shapes.push(["line", px, pz, rx, rz, 0.03, "ink"],
          ["line", rx - 0.18 * cos(t), rz - 0.18 * sin(t), rx + 0.18 * cos(t), rz + 0.18 * sin(t), 0.04, "accent"]);
      }
      return shapes;
    },
    nudge: (s) => [s[0], s[1], s[2], s[3] + 1.5, s[4], s[5] + 2],
  },
  "reacher": {
    seconds: 0.04,
    start: () => [-1.2, 1, 0, 0],
    step(s, a, m) {
      let [first, second, p, q] = s;
      const t1 = cut(m.swap > 0.5 ? a[1] : a[0]) - m.friction * p, t2 = cut(m.swap > 0.5 ? a[0] : a[1]) - m.friction * q;
      const l1 = m.upper, l2 = m.lower, load = m.payload, dt = 0.04;
      const around = l2 * l2 * l2 / 3 + load * l2 * l2, lever = l1 * l2 * (l2 / 2 + load);
      const m11 = l1 * l1 * l1 / 3 + (l2 + load) * l1 * l1 + around + 2 * lever * cos(second);
      const m12 = around + lever * cos(second), m22 = around;
      const b1 = t1 + lever * sin(second) * (2 * p * q + q * q), b2 = t2 - lever * sin(second) * p * p;
      const det = m11 * m22 - m12 * m12;
      p = clamp(p + dt * (m22 * b1 - m12 * b2) / det, -10, 10);
      q = clamp(q + dt * (m11 * b2 - m12 * b1) / det, -10, 10);
      return [first + dt * p, second + dt * q, p, q];
    },
    see: (s) => [cos(s[0]), sin(s[0]), cos(s[1]), sin(s[1]), s[2] / 5, s[3] / 5],
    tip: (s, m) => [m.upper * cos(s[0]) + m.lower * cos(s[0] + s[1]), m.upper * sin(s[0]) + m.lower * sin(s[0] + s[1])],
    good(s, m) {
      const [u, v] = this.tip(s, m), reach = 0.75 * (m.upper + m.lower);
      return (u - reach * cos(m.goal)) ** 2 + (v - reach * sin(m.goal)) ** 2 < 0.0064;
    },
    view: [-1.3, 1.3, -1.3, 1.3],
    sketch(s, m) {
      const x = m.upper * cos(s[0]), y = m.upper * sin(s[0]), [u, v] = this.tip(s, m), reach = 0.75 * (m.upper + m.lower);
      return [["disc", reach * cos(m.goal), reach * sin(m.goal), 0.08, "faint"], ["line", 0, 0, x, y, 0.06, "accent"],
        ["line", x, y, u, v, 0.05, "ink"], ["disc", u, v, 0.03 + 0.05 * m.payload, "ink"]];
    },
    nudge: (s) => [s[0], s[1], s[2] + 3, s[3]],
  },
};
