/// The page at `/`: one document without anything from elsewhere, written by hand.
enum Page {
    static let html = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Springg</title>
        <link rel="icon" href="data:,">
        <style>
        :root { color-scheme: light dark; --paper: light-dark(#fff, #16181c); --ground: light-dark(#f4f5f7, #0e0f12);
          --line: light-dark(#dfe2e7, #2c3038); --soft: light-dark(#676f7b, #98a1ad); --good: light-dark(#1f7a46, #52c98a);
          --bad: light-dark(#b3263c, #ff8593); --ink: light-dark(#2457a6, #84b2ff); }
        * { box-sizing: border-box; }
        body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--ground); }
        header { display: flex; gap: .8rem; align-items: center; flex-wrap: wrap; }
        h1 { font-size: 1.45rem; margin: 0; letter-spacing: -.01em; }
        h2 { font-size: .8rem; margin: 0 0 .6rem; text-transform: uppercase; letter-spacing: .06em; color: var(--soft); }
        #state { font-weight: 600; font-size: .85rem; border: 1px solid; border-radius: 1rem; padding: .05rem .7rem; }
        .good { color: var(--good); } .bad { color: var(--bad); }
        #token { margin-left: auto; width: 17rem; } #token[aria-invalid=true] { border-color: var(--bad); }
        main { display: grid; gap: .8rem; margin-top: 1rem; grid-template-columns: repeat(6, 1fr); }
        section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem; grid-column: span 2;
          overflow: auto; }
        .tile { grid-column: span 1; padding: .7rem .9rem .5rem; overflow: hidden; }
        .tile h2 { margin: 0; font-size: .72rem; white-space: nowrap; }
        .tile output { font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .tile svg { display: block; width: 100%; height: 1.8rem; }
        polyline { fill: none; stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
        polygon { fill: var(--ink); opacity: .15; }
        .wide { grid-column: 1 / -1; }
        dl { display: grid; grid-template-columns: auto 1fr; gap: .15rem .9rem; margin: 0; }
        dt { color: var(--soft); } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th { text-align: left; font-weight: 500; color: var(--soft); font-size: .85rem; white-space: nowrap; }
        th, td { padding: .2rem 1rem .2rem 0; vertical-align: top; }
        td { border-top: 1px solid var(--line); } .number { text-align: right; } .tight { white-space: nowrap; width: 1%; }
        .scroll { max-height: 19rem; overflow: auto; } .scroll th { position: sticky; top: 0; background: var(--paper); }
        input, select, textarea, button { font: inherit; padding: .3rem .55rem; border: 1px solid var(--line);
          border-radius: .4rem; background: var(--ground); color: inherit; }
        textarea { width: 100%; font: .82rem/1.4 ui-monospace, monospace; resize: vertical; }
        form { display: flex; gap: .5rem; flex-wrap: wrap; align-items: center; } #id { flex: 1; min-width: 12rem; }
        #k { width: 5rem; } form button { background: light-dark(#2457a6, #2f66b8); color: #fff; border: 0; cursor: pointer; }
        td button { padding: 0; border: 0; background: none; color: var(--ink); cursor: pointer; text-align: left; }
        :focus-visible { outline: 2px solid var(--ink); outline-offset: 1px; }
        .code { font: .7rem/1.75 ui-monospace, monospace; } .note { color: var(--soft); margin: .5rem 0; } .key { color: var(--soft); }
        .note:empty { display: none; }
        @media (max-width: 62rem) { section { grid-column: span 3; } .tile { grid-column: span 2; } }
        @media (max-width: 40rem) { section { grid-column: 1 / -1; } .tile { grid-column: span 3; }
          body { padding: .8rem; } #token { margin-left: 0; width: 100%; } th, td { padding-right: .6rem; } .date { display: none; } }
        </style>
        </head>
        <body>
        <header>
        <h1>Springg</h1> <span id="state" role="status">…</span> <span id="reason" class="note" role="alert"></span>
        <input id="token" type="password" placeholder="Token, if one is needed" aria-label="Token" autocomplete="off">
        </header>
        <main>
        <section class="tile"><h2>Vectors</h2><output id="vectors">–</output><svg data-of="vectors"></svg></section>
        <section class="tile"><h2>Requests / s</h2><output id="requests">–</output><svg data-of="requests"></svg></section>
        <section class="tile"><h2>Searches / s</h2><output id="searches">–</output><svg data-of="searches"></svg></section>
        <section class="tile"><h2>Events / s</h2><output id="written">–</output><svg data-of="written"></svg></section>
        <section class="tile"><h2>Sync</h2><output id="sync">–</output><svg data-of="sync"></svg></section>
        <section class="tile"><h2>Memory</h2><output id="memory">–</output><svg data-of="memory"></svg></section>
        <section><h2>Node</h2><dl id="node"></dl></section>
        <section><h2>Log and checkpoint</h2><dl id="log"></dl></section>
        <section><h2>Since the last look</h2><dl id="rates"></dl></section>
        <section class="wide"><h2>Indexes</h2><table><thead><tr><th>Name</th><th class="number">Dimensions</th>
        <th class="number">Vectors</th><th class="number">Not in the graph</th><th class="number">Memory</th>
        <th class="number">Recall</th></tr></thead><tbody id="indexes"></tbody></table></section>
        <section class="wide"><h2>Search</h2>
        <form id="search"><select id="index" aria-label="Index"></select>
        <input id="id" placeholder="Id of a vector, whose neighbours are sought" aria-label="Id" autocomplete="off">
        <label>k <input id="k" type="number" min="1" max="1000" value="10"></label> <button>Search</button>
        <textarea id="vector" rows="2" placeholder="or a vector: 0.1, 0.2, …" aria-label="Vector" spellcheck="false"></textarea></form>
        <p id="answer" class="note" role="status"></p>
        <table><tbody id="hits"></tbody></table>
        </section>
        <section class="wide"><h2>Newest events</h2><p id="eventnote" class="note"></p><div class="scroll"><table><thead><tr>
        <th class="number tight">LSN</th><th>Time, UTC</th><th>Event</th><th>Index</th><th>Id</th></tr></thead>
        <tbody id="events"></tbody></table></div></section>
        </main>
        <script>
        "use strict";
        const find = (id) => document.getElementById(id);
        const token = find("token");
        token.value = sessionStorage.getItem("token") || "";
        token.addEventListener("change", () => {
          sessionStorage.setItem("token", token.value.trim());
          look();
        });

        async function ask(path, options = {}) {
          const headers = { ...(options.headers || {}) };
          if (token.value.trim()) headers.Authorization = "Bearer " + token.value.trim();
          const answer = await fetch(path, { ...options, headers });
          const isJSON = (answer.headers.get("Content-Type") || "").startsWith("application/json");
          const body = isJSON ? await answer.json() : await answer.text();
          if (!answer.ok) throw Object.assign(new Error(body.error || body || answer.status), { status: answer.status, body });
          return isJSON ? body.data : body;
        }

        // Everything that is shown is set as text: what is in the database is never taken for markup.
        function cell(content, isNumber, isTight) {
          const cell = document.createElement("td");
          cell.append(content);
          cell.className = (isNumber ? "number " : "") + (isTight ? "tight" : "");
          return cell;
        }
        function span(text, className) {
          const span = document.createElement("span");
          span.textContent = text;
          span.className = className;
          return span;
        }
        function row(cells) {
          const row = document.createElement("tr");
          row.append(...cells);
          return row;
        }
        function list(id, pairs) {
          find(id).replaceChildren(...pairs.flatMap(([name, value]) => {
            const term = document.createElement("dt"), data = document.createElement("dd");
            term.textContent = name;
            data.append(value);
            return [term, data];
          }));
        }
        const number = (value, digits = 2) => Number(value).toLocaleString("en-US", { maximumFractionDigits: digits });
        function bytes(value) {
          const units = ["B", "KiB", "MiB", "GiB", "TiB"];
          let unit = 0;
          while (value >= 1024 && unit < 4) { value /= 1024; unit += 1; }
          return number(value, value < 10 ? 2 : value < 100 ? 1 : 0) + " " + units[unit];
        }

        function samples(text) {
          const found = new Map();
          for (const line of text.split("\n")) {
            if (!line || line[0] === "#") continue;
            const end = line.lastIndexOf(" ");
            found.set(line.slice(0, end), Number(line.slice(end + 1)));
          }
          return found;
        }
        function total(found, name, part = "") {
          let sum = 0;
          for (const [key, value] of found) {
            if ((key === name || key.startsWith(name + "{")) && key.includes(part)) sum += value;
          }
          return sum;
        }
        // The last minutes of a figure, as a line.
        const history = new Map(), looksMax = 60;
        function tile(id, value, text) {
          find(id).textContent = text;
          const line = history.get(id) || [];
          line.push(value);
          if (line.length > looksMax) line.shift();
          history.set(id, line);
          const picture = document.querySelector(`svg[data-of=${id}]`), most = Math.max(...line, 1e-9);
          const points = line.map((value, place) => place + "," + (20 - 18 * value / most));
          const shape = (kind, points) => {
            const shape = document.createElementNS(picture.namespaceURI, kind);
            shape.setAttribute("points", points.join(" "));
            return shape;
          };
          picture.setAttribute("viewBox", `0 0 ${Math.max(line.length - 1, 1)} 22`);
          picture.setAttribute("preserveAspectRatio", "none");
          picture.replaceChildren(shape("polygon", ["0,22", ...points, line.length - 1 + ",22"]), shape("polyline", points));
        }
        let last = null;
        function showRates(found) {
          const now = performance.now() / 1000;
          const counted = {
            requests: total(found, "springg_http_requests_total"),
            searches: total(found, "springg_http_requests_total", "/search"),
            events: total(found, "springg_log_commit_events_sum"),
            commits: total(found, "springg_log_commit_events_count"),
            sync: total(found, "springg_log_sync_duration_seconds_sum"),
            syncs: total(found, "springg_log_sync_duration_seconds_count"),
            limits: total(found, "springg_limit_hits_total"),
          };
          if (last) {
            const seconds = now - last.now, since = (name) => counted[name] - last[name];
            const rate = (name) => since(name) / seconds;
            for (const [id, name] of [["requests", "requests"], ["searches", "searches"], ["written", "events"]]) {
              tile(id, rate(name), number(rate(name), rate(name) < 100 ? 1 : 0));
            }
            const sync = since("syncs") ? since("sync") / since("syncs") * 1000 : 0;
            tile("sync", sync, sync ? number(sync) + " ms" : "–");
            list("rates", [
              ["Requests", number(since("requests"))], ["Events", number(since("events"))], ["Syncs", number(since("syncs"))],
              ["Events a commit", since("commits") ? number(since("events") / since("commits"), 1) : "–"],
              ["Turned away", number(since("limits"))], ["Connections", number(total(found, "springg_http_connections"))],
            ]);
          }
          last = { ...counted, now };
        }

        async function showHealth() {
          const state = find("state"), reason = find("reason");
          try {
            await ask("/readyz");
            state.textContent = "ready";
            state.className = "good";
            reason.textContent = "";
          } catch (error) {
            state.textContent = error.status === 503 ? "not ready" : "no answer";
            state.className = "bad";
            reason.textContent = error.message;
          }
        }
        async function showNode() {
          const node = await ask("/api/stats"), log = node.log;
          const found = samples(await ask("/metrics"));
          const version = [...found.keys()].map((key) => key.match(/^springg_build_info\{version="(.*)"\}/)).find(Boolean);
          tile("vectors", node.vectors, number(node.vectors));
          tile("memory", node.memory.bytes, bytes(node.memory.bytes));
          list("node", [
            ["Version", version ? version[1] : "–"],
            ["Memory", bytes(node.memory.bytes) + (node.memory.limit_bytes ? " of " + bytes(node.memory.limit_bytes) : "")],
            ["Disk", node.disk.full ? span("full: writes are refused", "bad") : "has room"],
            ["Digest", span(node.digest, "code")], ["Origin", span(log.origin, "code")],
          ]);
          const age = found.get("springg_checkpoint_age_seconds");
          list("log", [
            ["Visible up to LSN", number(log.applied_lsn)], ["Oldest LSN", number(log.first_lsn)],
            ["Log", bytes(node.disk.log_bytes)], ["Segments", number(log.segments)],
            ["Checkpoints", bytes(node.disk.checkpoint_bytes)],
            ["Last checkpoint, or start", age === undefined ? "–" : number(age, 0) + " s ago"],
            ["Events since then", number(log.applied_lsn - log.checkpointed_lsn)],
          ]);
          showRates(found);
        }
        async function showIndexes() {
          const indexes = (await ask("/api/indexes")).slice(0, 100), chosen = find("index").value;
          const stats = await Promise.all(indexes.map((index) =>
            ask("/api/indexes/" + encodeURIComponent(index.name) + "/stats").catch(() => null)));
          find("indexes").replaceChildren(...stats.filter(Boolean).map((index) => row([
            cell(index.name), cell(number(index.dimensions), true), cell(number(index.count), true),
            cell(number(index.unindexed), true), cell(bytes(index.memory_bytes), true),
            cell(index.recall_probe && index.recall_probe.recall !== null ? index.recall_probe.recall.toFixed(3) : "–", true),
          ])));
          find("index").replaceChildren(...indexes.map((index) => {
            const option = document.createElement("option");
            option.textContent = option.value = index.name;
            option.selected = index.name === chosen;
            return option;
          }));
        }
        async function showEvents() {
          try {
            const events = await ask("/api/events?limit=20");
            find("eventnote").textContent = "";
            find("events").replaceChildren(...events.map((event) => row([
              cell(event.lsn, true, true), cell(time(event.time), false, true), cell(event.kind.replace("_", " ")),
              cell(event.index || event.name || ""),
              cell(event.id === undefined ? "" : event.id),
            ])));
          } catch (error) {
            find("eventnote").textContent = error.status === 403 ? "They need a token with the scope admin." : error.message;
          }
        }

        function time(text) {
          const [date, clock] = text.split("T"), whole = document.createElement("span");
          whole.append(span(date + " ", "date key"), clock.replace("Z", ""));
          return whole;
        }
        // Members of an object beside one another; whatever else it may be, as JSON.
        function metadata(value) {
          const text = document.createDocumentFragment(), custom = value && value.custom, pairs = { ...value };
          if (custom && typeof custom === "object" && !Array.isArray(custom)) Object.assign(pairs, { custom: undefined }, custom);
          for (const [name, value] of Object.entries(pairs)) {
            if (value === undefined) continue;
            text.append(span(name + " ", "key"), typeof value === "string" ? value : JSON.stringify(value), "   ");
          }
          return text;
        }
        function numbers(text) {
          let vector = null;
          try {
            vector = JSON.parse(text.startsWith("[") ? text : "[" + text + "]");
          } catch {
            // Said below.
          }
          if (!Array.isArray(vector) || !vector.every((value) => typeof value === "number")) {
            throw new Error("A vector is written as numbers with commas between them, as 0.1, 0.2, 0.3.");
          }
          return vector;
        }
        async function search() {
          const path = "/api/indexes/" + encodeURIComponent(find("index").value), answer = find("answer");
          const id = find("id").value, text = find("vector").value.trim();
          try {
            if (!id && !text) throw new Error("Write an id or a vector first.");
            const vector = text ? numbers(text) : (await ask(path + "/vectors/" + encodeURIComponent(id) + "?fields=vector")).vector;
            const begun = performance.now();
            const hits = await ask(path + "/search", {
              method: "POST", headers: { "Content-Type": "application/json" },
              body: JSON.stringify({ vector, k: Number(find("k").value) }),
            });
            answer.className = "note";
            answer.textContent = hits.length + " in " + number(performance.now() - begun, 1) + " ms, the way here included";
            find("hits").replaceChildren(...hits.map((hit) => {
              const name = document.createElement("button");
              name.textContent = hit.id;
              name.title = "Search from here";
              name.addEventListener("click", () => {
                find("id").value = hit.id;
                find("vector").value = "";
                search();
              });
              return row([cell(hit.score.toFixed(4), true, true), cell(name, false, true), cell(metadata(hit.metadata))]);
            }));
          } catch (error) {
            answer.className = "note bad";
            answer.textContent = error.message;
            find("hits").replaceChildren();
          }
        }
        find("search").addEventListener("submit", (event) => {
          event.preventDefault();
          search();
        });
        // What was written last counts: one of the two fields is empty.
        find("id").addEventListener("input", () => { find("vector").value = ""; });
        find("vector").addEventListener("input", () => { find("id").value = ""; });

        let isLooking = false, looksAgain = false;
        async function look() {
          if (isLooking) looksAgain = true;
          if (isLooking || document.hidden) return;
          isLooking = true;
          await showHealth();
          try {
            await showNode();
            await showIndexes();
            await showEvents();
            token.setAttribute("aria-invalid", "false");
          } catch (error) {
            token.setAttribute("aria-invalid", error.status === 401 && token.value !== "");
            find("reason").textContent = error.message;
          }
          isLooking = false;
          if (looksAgain) {
            looksAgain = false;
            look();
          }
        }
        look();
        setInterval(look, 3000);
        </script>
        </body>
        </html>

        """#
}
