/* The search, without a server: what `lossdemo list` finds, in the same order, with the same line.

   It goes with lossdemo/search.py, function by function under the same names, and explains only what Python leaves to
   SQLite and to difflib. The claims and the tables are in claims.js, which docs/search_data.py writes. */

"use strict";

const { tables, formulas, headings, chapters } = window.CLAIMS;
const RAW = new RegExp(tables.raw, "gu");
const ONE = new RegExp(`^(?:${tables.raw})$`, "u");
const PARTS = new RegExp(tables.parts, "gu");
const NUMBER = new RegExp(`^(?:${tables.number})$`, "i");
const SIGNED = /^-?[0-9]/;
const SPELLINGS = tables.spellings.map(([spelling, american]) => [new RegExp(spelling, "gu"), american]);
const IGNORED = new Set(tables.ignored);
const LONG = new Set(tables.aliases.flat().filter((name) => name.includes(" ")));
const SHOWN = 10; // of what a search finds

/* Words */

/** A function of one text that remembers what it said. */
function cached(make) {
  const known = new Map();
  return (text) => {
    if (!known.has(text)) known.set(text, make(text));
    return known.get(text);
  };
}

/** A word as the index has it: its parts, and behind several of them the whole of the name. */
const words = cached((raw) => {
  if (NUMBER.test(raw)) return [threeDigits(raw)];
  const plain = raw.normalize("NFD").replace(/[^\p{L}\p{N}_'’-]/gu, "").replace(/n['’]t$/, "_not");
  const parts = (plain.match(PARTS) ?? []).map((part) => {
    const lower = part.toLowerCase().replace(/./gu, (letter) => tables.letters[letter] ?? letter);
    return SPELLINGS.reduce((word, [spelling, american]) => word.replace(spelling, american), lower);
  });
  const name = parts.join("");
  const whole = name.length > 5 ? name.replace(/loss$/, "") : name;
  return parts.length === 1 && parts[0] === whole ? parts : [...parts, whole];
});

/** A number as Python's format `.3g` writes it: halves go to the even digit. */
function threeDigits(raw) {
  const number = Number(raw) + 0;
  if (!Number.isFinite(number)) return /^n/i.test(raw) ? "nan" : raw.startsWith("-") ? "-inf" : "inf";
  let [digits, exponent] = number.toExponential(2).split("e");
  const half = /^(-?\d\.\d[02468])50*e/.exec(number.toExponential(60));
  if (half) digits = half[1];
  const power = Number(exponent);
  if (power >= -4 && power < 3) return String(Number(`${digits}e${exponent}`));
  return `${Number(digits)}e${exponent[0]}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** The words of a line, each in its parts. */
const indexed = (line) => (line.match(RAW) ?? []).map(words);

const last = (list) => list[list.length - 1];

/** The words of a line; numbers count as one, and exceptions as none. */
function names(line) {
  const found = line.map(last).filter((name) => !/(error|warning)$/.test(name));
  return found.map((name) => (SIGNED.test(name) ? "0" : name)).join(" ");
}

/** What a line is about: its words without their endings. */
function about(line) {
  const found = line.map(last).filter((name) => name && !IGNORED.has(name));
  return new Set(found.map((name) => name.replace(/(?<=[\p{L}\p{N}_]{3})(?:ing|ed|es|s|e)$/u, "")));
}

/** How much of what two lines are about they have in common, and how much that is of all. */
function common(one, other) {
  const both = [...one].filter((name) => other.has(name)).length;
  return { both, share: both / (one.size + other.size - both) };
}

/* Porter's stemmer, as FTS5 has it */

const STEP_2 = {
  ational: "ate", tional: "tion", enci: "ence", anci: "ance", izer: "ize", logi: "log", bli: "ble", alli: "al",
  entli: "ent", eli: "e", ousli: "ous", ization: "ize", ation: "ate", ator: "ate", alism: "al", iveness: "ive",
  fulness: "ful", ousness: "ous", aliti: "al", iviti: "ive", biliti: "ble",
};
const STEP_3 = { ical: "ic", ness: "", icate: "ic", iciti: "ic", ful: "", ative: "", alize: "al" };
const STEP_4 = {
  al: "", ance: "", ence: "", er: "", ic: "", able: "", ible: "", ant: "", ement: "", ment: "", ent: "", ion: "",
  ou: "", ism: "", ate: "", iti: "", ous: "", ive: "", ize: "",
};

/** Vowels and consonants, as v and c: a y behind a consonant is a vowel. Beyond ASCII a letter has several bytes. */
function shape(word) {
  let found = "";
  for (const letter of word) {
    const isVowel = /[aeiou]/.test(letter) || (letter === "y" && found.endsWith("c"));
    found += isVowel ? "v" : letter > "\x7f" ? "cc" : "c";
  }
  return found;
}

const measure = (word) => (shape(word).match(/v+c/g) ?? []).length;
const endsShort = (word) => /cvc$/.test(shape(word)) && !/[wxy]$/.test(word);

/** The word with the first of these endings in its other form, if what is before it measures more than `least`. */
function changed(word, endings, least) {
  const found = Object.keys(endings).find((ending) => word.endsWith(ending) && word.length > ending.length);
  if (!found) return word;
  const rest = word.slice(0, -found.length);
  return measure(rest) > least && (found !== "ion" || /[st]$/.test(rest)) ? rest + endings[found] : word;
}

/** Step 1b: the past and -ing. */
function withoutPast(word) {
  if (/.eed$/.test(word)) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const rest = word.replace(/(?<=.)(ed|ing)$/, "");
  if (rest === word || !shape(rest).includes("v")) return word;
  if (/.(at|bl|iz)$/.test(rest)) return `${rest}e`;
  if (/([^aeioulsz])\1$/.test(rest)) return rest.slice(0, -1);
  return measure(rest) === 1 && endsShort(rest) ? `${rest}e` : rest;
}

/** Step 5: the last e, and the last of two l. */
function withoutEnd(word) {
  const rest = word.slice(0, -1);
  const drops = word.endsWith("e") && (measure(rest) > 1 || (measure(rest) === 1 && !endsShort(rest)));
  const short = drops ? rest : word;
  return short.endsWith("ll") && measure(short.slice(0, -1)) > 1 ? short.slice(0, -1) : short;
}

const stem = cached((word) => {
  const size = new TextEncoder().encode(word).length;
  if (size < 3 || size > 64) return word;
  let found = word.replace(/(?<=.ss|.i)es$|(?<=[^s])s$/, "");
  found = withoutPast(found);
  if (found.endsWith("y") && shape(found.slice(0, -1)).includes("v")) found = found.replace(/y$/, "i");
  return withoutEnd(changed(changed(changed(found, STEP_2, 0), STEP_3, 0), STEP_4, 1));
});

/* Questions */

/** The parts of these words, without the wholes. */
function phrase(raws) {
  const parts = (all) => (all.length > 1 ? all.slice(0, -1) : all);
  return raws.flatMap((raw) => parts(words(raw))).join(" ");
}

/** With all the other ways in which these may be written. */
function written(ways) {
  const pairs = [...tables.aliases, ...tables.aliases].flatMap(([one, other]) => [[one, other], [other, one]]);
  for (const [old, now] of pairs) {
    ways = [...new Set([...ways, ...ways.map((way) => ` ${way} `.replaceAll(` ${old} `, ` ${now} `).trim())])];
  }
  return [...new Set([...ways, ...ways.map((way) => way.replaceAll(" ", ""))])];
}

/** The words of a question, each once; those that say nothing only where there are no others. */
function asked(text) {
  let typed = text.match(RAW) ?? [];
  const half = tables.longest / 2;
  if (typed.length > tables.longest) typed = [...typed.slice(0, half), ...typed.slice(-half)];
  const found = new Map();
  while (typed.length) {
    const number = [4, 3, 2].find((several) => LONG.has(phrase(typed.slice(0, several)))) ?? 1;
    const ways = [phrase(typed.slice(0, number)).replace(/ loss$/, "")];
    if (number === 1) ways.push(last(words(typed[0])));
    const word = { typed: typed.slice(0, number).join(" "), ways: written(ways) };
    if (!found.has(word.ways.join("\n"))) found.set(word.ways.join("\n"), word);
    typed = typed.slice(number);
  }
  const telling = [...found.values()].filter((word) => !IGNORED.has(word.ways[0]));
  return telling.length ? telling : [...found.values()];
}

const isNumber = (word) => SIGNED.test(word.ways[0]);
// The same error has others elsewhere: shapes and values, and `RuntimeError` before it or not.
const isSaidOtherwise = (word) => isNumber(word) || /(Error|Warning)$/.test(word.typed);

/** With those of these numbers that round to it, as 0.693 does to 0.69, if it has two digits and a point. */
function rounded(word, numbers) {
  const [, whole, part, digits] = /^-?0*([0-9]*)\.(0*([0-9]+))$/.exec(word.typed) ?? [];
  if (!part || (whole ? whole + part : digits).length < 2) return word;
  const off = 0.5000001 * Number(`1e-${part.length}`);
  const near = numbers.filter((number) => Math.abs(Number(number) - Number(word.typed)) <= off);
  return { ...word, ways: [...new Set([...word.ways, ...near])] };
}

/* The index */

const COLUMNS = 3; // title, symptoms, text
const SPAN = 2 ** 16; // more than a column has words
const rowOf = (place) => Math.floor(place / SPAN / COLUMNS);

/** A claim, with the words of its lines, which are its title, its symptoms, and its text. */
function claim(page, chapter, [id, title, symptoms, above, text]) {
  const columns = [[title], symptoms, text].map((lines) => lines.map(indexed));
  return { page, chapter, id, title, symptoms, above, lines: [title, ...symptoms, ...text], columns, length: 0 };
}

class Index {
  constructor() {
    this.claims = chapters.flatMap(([page, chapter, claims]) => claims.map((data) => claim(page, chapter, data)));
    this.terms = new Map(); // of each stem the places where it stands, ascending
    this.words = new Map(); // of each word the places of its stem
    this.claims.forEach((_, row) => this.add(row));
    this.average = this.claims.reduce((sum, { length }) => sum + length, 0) / this.claims.length;
    this.vocabulary = [...this.words.keys()].filter((word) => !IGNORED.has(word));
    this.numbers = [...this.terms.keys()].filter((term) => SIGNED.test(term) && NUMBER.test(term)).sort();
    this.places = cached((way) => this.find(way));
    this.sets = cached((way) => new Set(this.places(way)));
    this.rows = cached((way) => new Set(this.places(way).map(rowOf)));
  }

  /** Makes a claim one of those that are searched. */
  add(row) {
    const claim = this.claims[row];
    claim.columns.forEach((lines, column) => {
      let place = (row * COLUMNS + column) * SPAN;
      const begin = place;
      for (const line of lines) for (const parts of line) for (const word of parts) this.listed(word).push(place++);
      claim.length += place - begin;
    });
  }

  /** The places of the words that have the stem of this one. */
  listed(word) {
    let places = this.words.get(word);
    if (places) return places;
    places = this.terms.get(stem(word)) ?? [];
    this.terms.set(stem(word), places);
    this.words.set(word, places);
    return places;
  }

  /** Where these words begin that stand one behind the other. */
  find(way) {
    const [first, ...others] = way.split(" ");
    const places = this.terms.get(stem(first)) ?? [];
    return places.filter((place) => others.every((word, at) => this.sets(word).has(place + at + 1)));
  }

  /** The places of one that have the other before or behind them, with up to three words between. */
  near(one, other) {
    const [before, behind] = [other, one].map((way) => way.split(" ").length + 3);
    const others = this.sets(other);
    return this.places(one).filter((place) => {
      for (let at = place - before; at <= place + behind; at++) if (others.has(at)) return true;
      return false;
    });
  }

  /** FTS5's bm25 of the claims that have any of these, the places of each given or all: rows and scores. */
  bm25(ways, places = ways.map(this.places)) {
    const scores = new Map();
    ways.forEach((way, number) => {
      const count = this.rows(way).size;
      const rarity = Math.log((this.claims.length - count + 0.5) / (count + 0.5));
      const weights = new Map();
      for (const place of places[number]) {
        const weight = tables.weights[Math.floor(place / SPAN) % COLUMNS];
        weights.set(rowOf(place), (weights.get(rowOf(place)) ?? 0) + weight);
      }
      for (const [row, weight] of weights) {
        const length = 1.2 * (1 - 0.75 + (0.75 * this.claims[row].length) / this.average);
        const score = (rarity > 0 ? rarity : 1e-6) * ((weight * 2.2) / (weight + length));
        scores.set(row, (scores.get(row) ?? 0) + score);
      }
    });
    return new Map([...scores].sort(([one], [other]) => one - other));
  }

  /** The words of a question: the claims that have each, its weight, and what is taken for it where none has it. */
  question(text) {
    const question = asked(text).map((word) => rounded(word, this.numbers));
    for (const word of question) word.rows = this.bm25(word.ways);
    const isTyped = question.some((word) => word.rows.size);
    const unknown = question.filter((word) => !word.rows.size && !isNumber(word));
    const few = unknown.filter(({ typed: { length } }) => length > 3 && length < 50).slice(0, 5);
    for (const word of few) {
      word.guess = this.closest(last(word.ways), isTyped ? 0.8 : 0.75);
      if (word.guess) word.rows = this.bm25([word.guess]);
    }
    for (const word of question) {
      word.weight = question.length > 4 && isSaidOtherwise(word) ? 0.3 : 1;
      word.rarity = word.weight * Math.log((this.claims.length + 1) / (word.rows.size + 0.5));
    }
    return { question, isTyped };
  }

  /** What a word may have been meant to be, or nothing: as difflib's get_close_matches finds it. */
  closest(word, likeness) {
    const wanted = [...word];
    let [best, found] = [likeness, ""];
    for (const known of this.vocabulary) {
      const length = known.length + wanted.length;
      if (2 * Math.min(known.length, wanted.length) < best * length) continue;
      const ratio = (2 * inCommon([...known], wanted)) / length;
      if (ratio > best || (ratio === best && known > found)) [best, found] = [ratio, known];
    }
    return found;
  }

  /** What `lossdemo list` finds, best first; `guessed` has words that no claim has, with what was taken for them. */
  search(text) {
    const { question, isTyped } = this.question(text);
    const rank = this.rank(question);
    const just = names(indexed(text));
    const said = question.length > 1 ? about(indexed(text)) : new Set();
    for (const row of sorted(rank).slice(0, tables.best)) rank.set(row, rank.get(row) * this.alike(row, just, said));
    const queries = new Map(question.map(({ ways, guess, rarity }) => [guess || ways.join("\n"), rarity]));
    const found = sorted(rank).map((row) => ({ claim: this.claims[row], look: () => this.look(row, queries) }));
    return { found, isTyped, guessed: question.filter((word) => word.guess).map(({ typed, guess }) => [typed, guess]) };
  }

  /** The claims with enough of the question, and how well they answer it. */
  rank(question) {
    const scores = new Map();
    const shares = new Map();
    const add = (sums, row, more) => sums.set(row, (sums.get(row) ?? 0) + more);
    for (const { rows, weight, rarity } of question) {
      for (const [row, score] of rows) {
        add(scores, row, weight * score);
        add(shares, row, rarity);
      }
    }
    question.slice(1).forEach((word, number) => {
      const [one, other] = [question[number].ways[0], word.ways[0]];
      if (!question[number].rows.size || !word.rows.size) return;
      const near = this.bm25([one, other], [this.near(one, other), this.near(other, one)]);
      for (const [row, score] of near) add(scores, row, score);
    });
    const enough = Math.max(0, ...shares.values()) / 4;
    const answers = [...shares].filter(([, share]) => share >= enough);
    return new Map(answers.map(([row, share]) => [row, scores.get(row) * share]));
  }

  /** Three if the title or a symptom says just this, else one and how much of what one of them says is this. */
  alike(row, just, said) {
    const lines = this.claims[row].columns.slice(0, 2).flat();
    if (just && lines.some((line) => names(line) === just)) return 3;
    return 1 + Math.max(0, ...lines.map((line) => common(said, about(line)).share || 0));
  }

  /** The line of a claim that most of these queries find, rare ones above all, and the words, as indexed. */
  look(row, queries) {
    const { lines, symptoms, columns } = this.claims[row];
    const at = this.standing(row, columns);
    const weights = lines.map(() => 0);
    const marked = new Set();
    for (const [ways, weight] of queries) {
      const having = new Set();
      for (const way of ways.split("\n")) {
        for (const place of this.places(way)) {
          if (!at.has(place)) continue;
          for (const next of way.split(" ").keys()) {
            const [line, word] = at.get(place + next);
            having.add(line);
            marked.add(word);
          }
        }
      }
      for (const line of having) weights[line] += weight;
    }
    const most = Math.max(...weights);
    const best = [...lines.keys()].filter((line) => weights[line] === most);
    const said = best[0] ? best.filter((line) => line <= symptoms.length) : [];
    const shortest = said.reduce((one, other) => (lines[other].length < lines[one].length ? other : one), best[0]);
    return { line: lines[shortest], marked };
  }

  /** At which place of a claim which line and which word stand. */
  standing(row, columns) {
    const at = new Map();
    let line = 0;
    columns.forEach((lines, column) => {
      let place = (row * COLUMNS + column) * SPAN;
      for (const groups of lines) {
        for (const parts of groups) for (const _ of parts) at.set(place++, [line, parts.join("\t")]);
        line++;
      }
    });
    return at;
  }

  /** The heading of the symptoms or names that has what was asked, if it is clear which. */
  heading(text, found) {
    const said = new Set([...about(indexed(text))].filter((word) => !/^-?[0-9]|(error|warning)$/.test(word)));
    const symptoms = headings.filter(([page]) => page === "symptoms");
    const fits = symptoms.filter(([, title]) => common(said, about(indexed(title))).both === said.size);
    if (said.size && fits.length === 1) return fits[0];
    const isNamed = ([page, title]) =>
      page === "names" && title.match(/`[^`]+`/g)?.some((name) => last(words(name.slice(1, -1))) === last(words(text)));
    const name = ONE.test(text) && headings.find(isNamed);
    return name || (said.size ? this.elected(symptoms, said, found) : undefined);
  }

  /** The heading above most of the symptoms that have all these words, or are among them. */
  elected(symptoms, said, found) {
    const votes = symptoms.map(() => []);
    for (const { claim } of found.slice(0, tables.best)) {
      claim.columns[1].forEach((line, number) => {
        const has = about(line);
        const { both, share } = common(said, has);
        const isVote = both === said.size || (both === has.size && both > 1);
        if (isVote) for (const heading of claim.above[number]) votes[heading].push(share);
      });
    }
    const sum = (shares) => shares.reduce((one, other) => one + other, 0);
    const most = Math.max(...votes.map(sum));
    const best = votes.findIndex((shares) => sum(shares) === most);
    const isMost = most > sum(votes.map(sum)) / 3;
    return isMost && (votes[best].length > 1 || votes[best][0] === 1) ? symptoms[best] : undefined;
  }
}

/** The rows, those first that rank higher. */
const sorted = (rank) => [...rank.keys()].sort((one, other) => rank.get(other) - rank.get(one));

/** How many letters two words have in common: in the longest part that both have, and before and behind it. */
function inCommon(one, other) {
  let [size, start, begin] = [0, 0, 0];
  for (let i = 0; i < one.length - size; i++) {
    for (let j = 0; j < other.length - size; j++) {
      let length = 0;
      while (i + length < one.length && one[i + length] === other[j + length]) length++;
      if (length > size) [size, start, begin] = [length, i, j];
    }
  }
  if (!size) return 0;
  const before = inCommon(one.slice(0, start), other.slice(0, begin));
  return before + size + inCommon(one.slice(start + size), other.slice(begin + size));
}

/* The page */

const EXAMPLES = ["loss is nan", "stuck at 0.693", "CrossEntropyLoss", "Using a target size"];

function make(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

function link(href, ...children) {
  const element = make("a", ...children);
  element.href = href;
  return element;
}

/** A piece of a line that begins at `from`, with these spans of the line marked. */
function marked(element, piece, from, spans) {
  let at = 0;
  for (const [begin, end] of spans.map(([begin, end]) => [begin - from, end - from])) {
    if (begin < at || end > piece.length) continue;
    element.append(piece.slice(at, begin), make("mark", piece.slice(begin, end)));
    at = end;
  }
  element.append(piece.slice(at));
  return element;
}

/** A line of Markdown, with the words marked that were asked for; of a formula what can be written in a line. */
function rendered(line, asked) {
  const found = [...line.matchAll(RAW)].filter(([raw]) => asked.has(words(raw).join("\t")));
  const spans = found.map(({ 0: { length }, index }) => [index, index + length]);
  if (/^(>>>|\.\.\.)( |$)/.test(line)) return marked(make("code"), line, 0, spans);
  const all = document.createDocumentFragment();
  for (const { 0: piece, 1: code, 2: formula, index } of line.matchAll(/`([^`]+)`|\$([^$]+)\$|\*\*|[^`$*]+|./gsu)) {
    if (code) all.append(marked(make("code"), code, index + 1, spans));
    else if (formula) all.append(make("i", formulas[formula] ?? formula));
    else if (piece !== "**") marked(all, piece, index, spans);
  }
  return all;
}

/** What was found: a link to the claim, its chapter, and the line that matched where it is not the title. */
function result({ claim: { page, chapter, id, title }, look }) {
  const { line, marked: asked } = look();
  const item = make("li", link(`${page}.html#${id}`, rendered(title, asked)), " ", make("small", chapter));
  if (line !== title) item.append(make("p", rendered(line, asked)));
  return item;
}

/** What is said of an answer: what was taken for what, and how much was found. */
function summary({ found, guessed }, total) {
  const guesses = guessed.map(([typed, guess]) => `No claim has “${typed}”; nearest: ${guess}. `).join("");
  const shown = found.length > SHOWN ? `${SHOWN} best of ` : "";
  const count = `${shown}${found.length} of ${total} claims.`;
  return guesses + (found.length ? count : "No claim has any of that. Say what you see, in other words.");
}

/** What the page has: the field `#query`, the list `#results`, and `#count`, which is read out when it changes. */
class Page {
  constructor() {
    [this.query, this.count, this.results] = ["#query", "#count", "#results"].map((id) => document.querySelector(id));
    [this.see, this.more, this.index] = [make("p"), make("button"), new Index()];
    this.more.type = "button";
    this.results.before(this.see);
    this.results.after(this.more);
    this.more.addEventListener("click", () => this.extend());
    this.query.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.update(), 80);
    });
    this.query.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.update();
    });
    this.update();
  }

  update() {
    const text = this.query.value.trim();
    if (text === this.text) return;
    this.text = text;
    try {
      history.replaceState(null, "", text ? `?q=${encodeURIComponent(text)}` : location.pathname);
    } catch {} // some browsers keep the address of a file as it is
    if (text) this.answer(text);
    else this.invite();
  }

  answer(text) {
    const answer = this.index.search(text);
    const heading = this.index.heading(text, answer.found);
    this.count.textContent = summary(answer, this.index.claims.length);
    this.results.replaceChildren(...answer.found.slice(0, SHOWN).map(result));
    this.rest = answer.found.slice(SHOWN);
    this.more.textContent = `Show ${this.rest.length} more`;
    this.more.hidden = !this.rest.length;
    this.see.replaceChildren();
    if (heading) this.point(heading);
    else if (!answer.found.length) this.lead();
  }

  /** To the heading of another page. */
  point([page, title, id]) {
    this.see.append("See ", page, ": ", link(`${page}.html#${id}`, rendered(title, new Set())));
  }

  /** To the pages where one can look around. */
  lead() {
    const [symptoms, names] = [link("symptoms.html", "the symptoms"), link("names.html", "the names")];
    this.see.append("Or look through ", symptoms, " and ", names, ".");
  }

  /** Says what can be asked. */
  invite() {
    this.count.textContent = "Type what you see, a name, a number or the text of an error.";
    const examples = EXAMPLES.flatMap((text) => [" · ", link(`?q=${encodeURIComponent(text)}`, text)]);
    this.see.replaceChildren("For example: ", ...examples.slice(1));
    this.results.replaceChildren();
    this.more.hidden = true;
  }

  /** Shows the rest of what was found. */
  extend() {
    const [first, ...others] = this.rest.map(result);
    this.results.append(first, ...others);
    this.more.hidden = true;
    first.querySelector("a").focus();
  }
}

addEventListener("DOMContentLoaded", () => {
  const query = document.querySelector("#query");
  if (!query) return;
  query.value = new URLSearchParams(location.search).get("q") ?? query.value;
  setTimeout(() => new Page()); // behind the first paint
});
