import CSimdjson
import CSpringg
import SpringgTestKit

/// Reading a body of 1024 numbers: the server's reader beside simdjson's.
enum JSONSection {
    private static let bodies = 100
    private static let rounds = 15

    static func measure(_ settings: Settings) -> SectionReport {
        var random = SeededRandom(seed: settings.seed)
        let texts = (0..<bodies).map { number in
            let vector = JSONValue.array(of: random.floats(Settings.dimensions))
            return Array(#"{"id":"vec-\#(number)","vector":\#(vector),"metadata":{"custom":{"title":"x"}}}"#.utf8)
        }
        let bytes = texts.map(\.count).reduce(0, +)
        var report = SectionReport(
            title: "reading JSON, id + \(Settings.dimensions) numbers + metadata, \(bytes / bodies) bytes"
        )
        let parser = springg_simdjson_create()
        defer { springg_simdjson_destroy(parser) }
        var floats = [Float](repeating: 0, count: Settings.dimensions)
        var ours: [Double] = []
        var theirs: [Double] = []
        var failures = 0
        for _ in 0..<rounds {
            ours.append(
                Monotonic.seconds {
                    for text in texts where !read(text, into: &floats) { failures += 1 }
                }
            )
            theirs.append(
                Monotonic.seconds {
                    for text in texts {
                        let count = springg_simdjson_vector(parser, text, text.count, &floats, floats.count)
                        if count != Settings.dimensions { failures += 1 }
                    }
                }
            )
        }
        if failures > 0 { report.notes.append("\(failures) bodies were not read: the figures are void") }
        blackHole(floats)
        let own = median(ours) / Double(bodies)
        let dom = median(theirs) / Double(bodies)
        report.add("ours / simdjson DOM", own / dom, "×", .atMost(1))
        report.add("ours, a body", own * 1e6, "µs")
        report.add("simdjson DOM, a body", dom * 1e6, "µs")
        report.add("ours", Double(bytes) / median(ours) / 1e6, "MB/s")
        return report
    }

    /// Walks the body as the server does: id, numbers, metadata checked and passed over, nothing behind.
    private static func read(_ text: [UInt8], into floats: inout [Float]) -> Bool {
        text.withUnsafeBytes { bytes in
            var reader = springg_json()
            springg_json_start(&reader, bytes.baseAddress, bytes.count)
            guard springg_json_object_begin(&reader) == SPRINGG_JSON_OK else { return false }
            var more = false
            var key = springg_json_slice()
            var count = 0
            while springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK, more {
                let status: springg_json_status
                if springg_json_key_is(key, "vector") {
                    status = springg_json_floats(&reader, &floats, floats.count, &count)
                } else {
                    var raw = springg_json_slice()
                    status = springg_json_skip(&reader, &raw)
                }
                guard status == SPRINGG_JSON_OK else { return false }
            }
            return count == floats.count && springg_json_finish(&reader) == SPRINGG_JSON_OK
        }
    }
}
