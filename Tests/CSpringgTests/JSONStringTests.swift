import CSpringg
import Testing

/// Strings are decoded exactly, keys are compared decoded, and text written is text read.
@Suite struct JSONStringTests {
    private func decode(
        _ document: [UInt8],
        capacity: Int = 4096
    ) -> (status: springg_json_status, text: [UInt8], length: Int) {
        var status = SPRINGG_JSON_OK
        var length = 0
        let text = [UInt8](unsafeUninitializedCapacity: capacity + 1) { buffer, count in
            buffer[capacity] = 0xEE
            status = GuardedBytes(capacity: document.count).read(document) {
                springg_json_string(&$0, buffer.baseAddress, capacity, &length)
            }
            #expect(buffer[capacity] == 0xEE, "written beyond the capacity")
            count = status == SPRINGG_JSON_OK ? min(length, capacity) : 0
        }
        return (status, text, length)
    }

    @Test(arguments: [
        (#""""#, ""), (#""a""#, "a"), (#"  "a b""#, "a b"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
        (#""\u0041\u00e9\u20AC\uD834\udd1E""#, "A\u{E9}\u{20AC}\u{1D11E}"), (#""\u0000""#, "\u{0}"),
        (#""x\u0000y""#, "x\u{0}y"),
        (
            #""plain text of more than sixteen bytes \u2014 and some more""#,
            "plain text of more than sixteen bytes \u{2014} and some more"
        ),
        (#""名前 é 🦊 \ud83e\udd8a""#, "名前 é 🦊 🦊"),
        (#""\uFFFF\u0800\u07ff\u0080\u007F""#, "\u{FFFF}\u{800}\u{7FF}\u{80}\u{7F}"),
        (#""\\u0041""#, "\\u0041"), (#""ends with \\""#, "ends with \\"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
    ])
    func decoding(_ document: String, _ expected: String) {
        let decoded = decode(Array(document.utf8))
        #expect(decoded.status == SPRINGG_JSON_OK)
        #expect(decoded.text == Array(expected.utf8))
        #expect(decoded.length == expected.utf8.count)
    }

    @Test func lengthIsWholeWhenTheBufferIsSmall() {
        let document = Array(#""abc\u20acdef\n\uD83D\uDE00xyz""#.utf8)
        let whole = Array("abc\u{20AC}def\n\u{1F600}xyz".utf8)
        for capacity in 0...whole.count + 3 {
            let decoded = decode(document, capacity: capacity)
            #expect(decoded.status == SPRINGG_JSON_OK && decoded.length == whole.count)
            #expect(decoded.text == Array(whole.prefix(capacity)))
        }
    }

    @Test func otherKindsAreRefused() {
        for (document, status) in [
            ("1", SPRINGG_JSON_TYPE), ("null", SPRINGG_JSON_TYPE), ("[\"a\"]", SPRINGG_JSON_TYPE),
            ("", SPRINGG_JSON_TRUNCATED),
            ("x", SPRINGG_JSON_SYNTAX), ("\"a", SPRINGG_JSON_TRUNCATED), ("\"\u{1}\"", SPRINGG_JSON_SYNTAX),
            (#""\uD800""#, SPRINGG_JSON_UTF8), (#""\q""#, SPRINGG_JSON_SYNTAX),
        ] {
            #expect(decode(Array(document.utf8)).status == status, "\(document)")
        }
        #expect(decode([0x22, 0xC3, 0x22]).status == SPRINGG_JSON_UTF8)
        #expect(decode([0x22, 0xC3]).status == SPRINGG_JSON_TRUNCATED)
    }

    /// Any place in a group of bytes may hold the byte that matters.
    @Test func everyPlaceInAGroupIsChecked() {
        for length in 1...70 {
            for place in 0..<length {
                var inside = [UInt8](repeating: 0x61, count: length)
                inside[place] = 0x0A
                #expect(decode([0x22] + inside + [0x22]).status == SPRINGG_JSON_SYNTAX)
                inside[place] = 0x80
                #expect(decode([0x22] + inside + [0x22]).status == SPRINGG_JSON_UTF8)
                #expect(!GuardedBytes(capacity: 128).utf8Valid(inside))
                inside[place] = 0x5C  // a backslash: 'a' behind it is no escape, a quote would end too early
                #expect(decode([0x22] + inside + [0x22]).status != SPRINGG_JSON_OK)
                inside[place] = 0x22
                #expect(decode([0x22] + inside + [0x22]).length == place)
            }
        }
    }

    @Test(arguments: [
        ("id", "id", true), ("ID", "id", true), ("iD", "Id", true), (#"\u0069d"#, "id", true),
        (#"\u0049\u0044"#, "id", true),
        ("id ", "id", false), ("i", "id", false), ("idx", "id", false), ("", "id", false), ("id", "", false),
        ("", "", true),
        (#"id\u0000"#, "id", false), (#"\u0000"#, "", false), ("\u{131}d", "id", false), ("\u{212A}", "k", false),
        ("recent_DAYS", "recent_days", true), ("recent-days", "recent_days", false), ("[", "{", false),
        ("@", "`", false),
        (#"a\/b"#, "a/b", true), (#"\uD83D\uDE00"#, "x", false),
    ])
    func keys(_ key: String, _ name: String, _ expected: Bool) {
        let document = Array("{\"\(key)\":1}".utf8)
        var slice = springg_json_slice()
        var more = false
        let equal = GuardedBytes(capacity: 256).read(document) { reader in
            #expect(springg_json_object_begin(&reader) == SPRINGG_JSON_OK)
            #expect(springg_json_object_next(&reader, &more, &slice) == SPRINGG_JSON_OK)
            #expect(Array(UnsafeBufferPointer(start: slice.start, count: slice.length)) == Array(key.utf8))
            return springg_json_key_is(slice, name)
        }
        #expect(equal == expected)
    }

    private func escape(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes.count * 6) { buffer, count in
            count = buffer.withMemoryRebound(to: CChar.self) { springg_json_escape(bytes, bytes.count, $0.baseAddress) }
        }
    }

    @Test func escaping() {
        #expect(escape([]) == [])
        #expect(escape(Array("plain / é 🦊 \u{7F}".utf8)) == Array("plain / é 🦊 \u{7F}".utf8))
        #expect(escape(Array("\"\\\n\r\t\u{8}\u{C}".utf8)) == Array(#"\"\\\n\r\t\b\f"#.utf8))
        #expect(escape([0x00, 0x1F, 0x0B]) == Array(#"\u0000\u001f\u000b"#.utf8))
        #expect(escape([UInt8](repeating: 0, count: 100)).count == 600)
    }

    @Test func escapedTextReadsBack() {
        var random = JSONRandom(announcing: "escapedTextReadsBack")
        for _ in 0..<5_000 {
            let text = Array(randomText(&random).utf8)
            let decoded = decode([0x22] + escape(text) + [0x22])
            #expect(decoded.status == SPRINGG_JSON_OK && decoded.text == text)
        }
    }

    /// Swift's own validation is the twin.
    @Test func utf8IsJudgedAsBySwift() {
        var random = JSONRandom(announcing: "utf8IsJudgedAsBySwift")
        let memory = GuardedBytes(capacity: 4096)
        var valid = 0
        for _ in 0..<100_000 {
            var bytes = Array(randomText(&random).utf8)
            if let place = bytes.indices.randomElement(using: &random), Bool.random(using: &random) {
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<4, using: &random) == 0 { bytes.removeLast(min(bytes.count, 1)) }
            let expected = String(validating: bytes, as: UTF8.self) != nil
            if expected { valid += 1 }
            #expect(memory.utf8Valid(bytes) == expected, "\(bytes)")
        }
        #expect(valid > 20_000 && valid < 80_000)
        // All of two and three bytes.
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let expected = String(validating: [first, second], as: UTF8.self) != nil
                #expect(memory.utf8Valid([first, second]) == expected, "\([first, second])")
                for third: UInt8 in [0x00, 0x41, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF] {
                    let bytes = [first, second, third]
                    #expect(memory.utf8Valid(bytes) == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)")
                }
            }
        }
    }

    private func randomText(_ random: inout JSONRandom) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            let limit: UInt32 = [0x20, 0x7F, 0x7F, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF].randomElement(using: &random) ?? 0x7F
            if let scalar = Unicode.Scalar(UInt32.random(in: 0...limit, using: &random)) { text.append(scalar) }
        }
        return String(text)
    }
}
