import SpringgConfiguration
import Testing

@Suite("Lines of the log")
struct LogLineTests {
    static let time = "2026/11/22 12:00:00"

    @Test("text looks as the Go program's, with a marker for what is looked for")
    func text() {
        let info = LogLine(level: "info", message: "Opened", fields: [("path", "/data"), ("note", "a b")])
        #expect(info.text(time: Self.time) == "2026/11/22 12:00:00 Opened path=/data note=\"a b\"\n")
        let warning = LogLine(level: "warn", message: "Slow", fields: [])
        #expect(warning.text(time: Self.time) == "2026/11/22 12:00:00 WARN Slow\n")
    }

    @Test("JSON is one object on one line")
    func json() throws {
        let line = LogLine(level: "error", message: "a \"b\"\n", fields: [("k", "\u{1}é")]).json(time: "t")
        #expect(line == #"{"time":"t","level":"error","message":"a \"b\"\n","k":"\u0001é"}"# + "\n")
        #expect(throws: Never.self) { try JSONValue(parsing: Array(line.utf8)) }
    }

    @Test("no message can forge a second line", arguments: ["a\nb", "a\r\nb", "\u{1B}[2J", "a\u{2028}b", "a\u{85}b"])
    func oneLine(text: String) {
        let line = LogLine(level: "info", message: text, fields: [("id", text)])
        for written in [line.text(time: Self.time), line.json(time: "t")] {
            #expect(written.unicodeScalars.filter { $0 == "\n" || $0 == "\r" || $0 == "\u{1B}" }.count == 1)
        }
        #expect(!line.text(time: Self.time).unicodeScalars.contains { $0 == "\u{2028}" || $0 == "\u{85}" })
    }
}
