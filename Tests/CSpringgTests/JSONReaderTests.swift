import CSpringg
import Testing

/// What callers of the pull reader rely on: order of calls, statuses, places, slices.
@Suite struct JSONReaderTests {
    private func read<Result>(_ document: String, _ body: (inout springg_json) throws -> Result) rethrows -> Result {
        try GuardedBytes(capacity: document.utf8.count).read(Array(document.utf8), body)
    }

    private func text(_ slice: springg_json_slice) -> String {
        String(decoding: UnsafeBufferPointer(start: slice.start, count: slice.length), as: UTF8.self)
    }

    @Test func emptyBytesMayBeNull() {
        var reader = springg_json()
        springg_json_start(&reader, nil, 0)
        #expect(springg_json_peek(&reader) == SPRINGG_JSON_END)
        #expect(springg_json_finish(&reader) == SPRINGG_JSON_OK)
        springg_json_start(&reader, nil, 0)
        #expect(reader.skipDocument() == SPRINGG_JSON_TRUNCATED)
        #expect(reader.offset == 0)
    }

    @Test func kindsAreJudgedByTheFirstByte() {
        for (document, kind) in [
            ("{", SPRINGG_JSON_OBJECT), (" [", SPRINGG_JSON_ARRAY), ("\n\"", SPRINGG_JSON_STRING),
            ("-", SPRINGG_JSON_NUMBER),
            ("7", SPRINGG_JSON_NUMBER), ("t", SPRINGG_JSON_BOOL), ("f", SPRINGG_JSON_BOOL), ("n", SPRINGG_JSON_NULL),
            ("", SPRINGG_JSON_END), ("  ", SPRINGG_JSON_END), ("]", SPRINGG_JSON_END), ("x", SPRINGG_JSON_END),
            (",", SPRINGG_JSON_END),
        ] {
            #expect(read(document) { springg_json_peek(&$0) } == kind, "\(document)")
        }
    }

    @Test func membersComeInOrder() {
        let document = #" { "a" : [ 1 , [ ] , { } ] , "b" : { "c" : true , "c" : false } , "" : null } "#
        var seen: [String] = []
        var raw = springg_json_slice()
        let status = read(document) { reader -> springg_json_status in
            var more = false
            var key = springg_json_slice()
            var value = false
            #expect(springg_json_object_begin(&reader) == SPRINGG_JSON_OK)
            while springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK, more {
                seen.append(text(key))
                switch springg_json_peek(&reader) {
                case SPRINGG_JSON_ARRAY:
                    #expect(springg_json_array_begin(&reader) == SPRINGG_JSON_OK)
                    while springg_json_array_next(&reader, &more) == SPRINGG_JSON_OK, more {
                        #expect(springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK)
                        seen.append(text(raw))
                    }
                case SPRINGG_JSON_OBJECT:
                    #expect(springg_json_object_begin(&reader) == SPRINGG_JSON_OK)
                    while springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK, more {
                        #expect(springg_json_bool(&reader, &value) == SPRINGG_JSON_OK)
                        seen.append("\(text(key))=\(value)")
                    }
                default:
                    #expect(springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK)
                    seen.append(text(raw))
                }
            }
            #expect(reader.depth == 0)
            return springg_json_finish(&reader)
        }
        #expect(status == SPRINGG_JSON_OK)
        #expect(seen == ["a", "1", "[ ]", "{ }", "b", "c=true", "c=false", "", "null"])
    }

    /// A slice is the value's text and nothing around it, so that it can be spliced into an answer.
    @Test func slicesAreExact() {
        let values = [
            "1", "-0.5e+3", "\"a \\\" b\"", "true", "false", "null", "{}", "[]", "[ 1 , 2 ]", "{ \"a\" : [ { } ] }",
            "\"\"",
            #"{"title":"naïve \u00e9","tags":["a","b"],"n":{"m":[[1.5]]}}"#,
            "\"\(String(repeating: "x", count: 100))\"",
        ]
        for value in values {
            for (before, after) in [("", ""), (" ", " "), ("\n\t", "\r\n")] {
                var raw = springg_json_slice()
                let finished = read(before + value + after) { reader -> Bool in
                    #expect(springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK)
                    #expect(text(raw) == value)
                    #expect(reader.offset == before.utf8.count + value.utf8.count)
                    return springg_json_finish(&reader) == SPRINGG_JSON_OK
                }
                #expect(finished)
                read("{\"k\":" + before + value + after + ",\"l\":0}") { reader in
                    var more = false
                    var key = springg_json_slice()
                    _ = springg_json_object_begin(&reader)
                    _ = springg_json_object_next(&reader, &more, &key)
                    #expect(springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK)
                    #expect(text(raw) == value)
                    #expect(
                        springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK && more && text(key) == "l"
                    )
                }
            }
        }
    }

    @Test(arguments: [
        ("[1,2,x]", SPRINGG_JSON_SYNTAX, 5), ("[1,2", SPRINGG_JSON_TRUNCATED, 4),
        ("{\"a\":1,}", SPRINGG_JSON_SYNTAX, 7),
        ("[1 2]", SPRINGG_JSON_SYNTAX, 3), ("[01]", SPRINGG_JSON_SYNTAX, 2), ("[1.x]", SPRINGG_JSON_SYNTAX, 3),
        ("[\"ab\u{1}\"]", SPRINGG_JSON_SYNTAX, 4), (#"["\ud800"]"#, SPRINGG_JSON_UTF8, 2),
        (#"["a\q"]"#, SPRINGG_JSON_SYNTAX, 4),
        (#"["\u00"]"#, SPRINGG_JSON_SYNTAX, 6), ("[trug]", SPRINGG_JSON_SYNTAX, 4),
        ("{\"a\" 1}", SPRINGG_JSON_SYNTAX, 5),
        ("[] x", SPRINGG_JSON_TRAILING, 3), ("1,", SPRINGG_JSON_TRAILING, 1), ("", SPRINGG_JSON_TRUNCATED, 0),
        (String(repeating: "[", count: 65), SPRINGG_JSON_DEPTH, 64), ("[1,]", SPRINGG_JSON_SYNTAX, 3),
        ("[}", SPRINGG_JSON_SYNTAX, 1),
    ])
    func failuresCarryTheirPlace(_ document: String, _ expected: springg_json_status, _ offset: Int) {
        read(document) { reader in
            #expect(reader.skipDocument() == expected)
            #expect(reader.offset == offset)
        }
        read(document) { reader in
            #expect(reader.walkDocument() == expected)
            #expect(reader.offset == offset)
        }
    }

    @Test func anotherTypeIsToldFromNoJSON() {
        var count = 0
        var flag = false
        var double = 0.0
        for (document, status) in [
            ("\"a\"", SPRINGG_JSON_TYPE), ("{}", SPRINGG_JSON_TYPE), ("nul", SPRINGG_JSON_TYPE),
            ("?", SPRINGG_JSON_SYNTAX),
            ("", SPRINGG_JSON_TRUNCATED), ("]", SPRINGG_JSON_SYNTAX),
        ] {
            #expect(read(document) { springg_json_bool(&$0, &flag) } == status, "bool of \(document)")
            #expect(read(document) { springg_json_double(&$0, &double) } == status, "double of \(document)")
            #expect(read(document) { springg_json_array_begin(&$0) } == status, "array of \(document)")
            #expect(read(document) { springg_json_floats(&$0, nil, 0, &count) } == status, "floats of \(document)")
        }
        #expect(read("[]") { springg_json_object_begin(&$0) } == SPRINGG_JSON_TYPE)
        #expect(read("tru") { springg_json_bool(&$0, &flag) } == SPRINGG_JSON_TRUNCATED)
        #expect(read("trux") { springg_json_bool(&$0, &flag) } == SPRINGG_JSON_SYNTAX)
    }

    @Test(arguments: [
        ("[]", SPRINGG_JSON_OK, 0), ("[ ]", SPRINGG_JSON_OK, 0), ("[1]", SPRINGG_JSON_OK, 1),
        (" [ 1 , 2 ] ", SPRINGG_JSON_OK, 2),
        ("[1,\"a\"]", SPRINGG_JSON_TYPE, 3), ("[null]", SPRINGG_JSON_TYPE, 1), ("[[1]]", SPRINGG_JSON_TYPE, 1),
        ("[1,]", SPRINGG_JSON_SYNTAX, 3), ("[,1]", SPRINGG_JSON_SYNTAX, 1), ("[1,,2]", SPRINGG_JSON_SYNTAX, 3),
        ("[1 2]", SPRINGG_JSON_SYNTAX, 3), ("[1e39]", SPRINGG_JSON_RANGE, 1), ("[0.5,-1e39]", SPRINGG_JSON_RANGE, 5),
        ("[1", SPRINGG_JSON_TRUNCATED, 2), ("[", SPRINGG_JSON_TRUNCATED, 1), ("[1,", SPRINGG_JSON_TRUNCATED, 3),
        ("[1.", SPRINGG_JSON_TRUNCATED, 3), ("[NaN]", SPRINGG_JSON_SYNTAX, 1), ("[1}", SPRINGG_JSON_SYNTAX, 2),
    ])
    func floatArrays(_ document: String, _ expected: springg_json_status, _ place: Int) {
        // In front of a document, numbers enough for the paths that take many at once.
        for lead in ["", String(repeating: "0.125,-17,", count: 300)] where lead.isEmpty || !document.contains("[]") {
            let added = lead.isEmpty || document.contains("[ ]") ? "" : lead
            guard let bracket = document.firstIndex(of: "[") else { continue }
            let long = document[...bracket] + added + document[document.index(after: bracket)...]
            read(String(long)) { reader in
                let read = readFloats(&reader, capacity: 1000)
                #expect(read.status == expected, "\(document)")
                if expected == SPRINGG_JSON_OK {
                    #expect(read.count == place + (added.isEmpty ? 0 : 600))
                    #expect(reader.depth == 0 && springg_json_finish(&reader) == SPRINGG_JSON_OK)
                } else {
                    #expect(reader.offset == place + added.utf8.count, "\(document)")
                }
            }
        }
    }

    /// Whatever ends the bytes, and wherever in a group of bytes that is, nothing behind them is read.
    @Test func floatArraysThatBreakOff() {
        let lead = "[" + String(repeating: "0.5,", count: 40)
        for padding in 0..<130 {
            let start = lead + String(repeating: " ", count: padding)
            for (tail, expected, place) in [
                ("1,", SPRINGG_JSON_TRUNCATED, 2), (",", SPRINGG_JSON_SYNTAX, 0), ("1,,", SPRINGG_JSON_SYNTAX, 2),
                ("-,", SPRINGG_JSON_SYNTAX, 1), ("1.,", SPRINGG_JSON_SYNTAX, 2), ("-", SPRINGG_JSON_TRUNCATED, 1),
                ("1e,", SPRINGG_JSON_SYNTAX, 2), ("1.5e-05", SPRINGG_JSON_TRUNCATED, 7),
                ("0.12345678901234567890", SPRINGG_JSON_TRUNCATED, 22), ("", SPRINGG_JSON_TRUNCATED, 0),
            ] {
                read(start + tail) { reader in
                    #expect(readFloats(&reader, capacity: 100).status == expected, "\(padding) spaces, then \(tail)")
                    #expect(reader.offset == start.utf8.count + place, "\(padding) spaces, then \(tail)")
                }
            }
        }
    }

    /// A vector longer than the buffer is counted, not written, and still checked to its end.
    @Test func floatsBeyondTheCapacityAreCounted() {
        let numbers = (0..<3000).map { "0.\($0)" }
        let document = "[\(numbers.joined(separator: ","))]"
        for capacity in [0, 1, 7, 2999, 3000, 3001] {
            read(document) { reader in
                let read = readFloats(&reader, capacity: capacity)
                #expect(read.status == SPRINGG_JSON_OK && read.count == 3000)
                #expect(read.floats == numbers.prefix(capacity).compactMap { Float($0) })
            }
        }
        read(document.dropLast() + ",x]") { #expect(readFloats(&$0, capacity: 1).status == SPRINGG_JSON_SYNTAX) }
    }

    @Test func floatsCountTowardsTheDepth() {
        let outside = String(repeating: "[", count: 63)
        for (document, expected) in [(outside + "[1]", SPRINGG_JSON_OK), (outside + "[[1]", SPRINGG_JSON_DEPTH)] {
            read(document) { reader in
                var more = false
                for _ in 0..<(expected == SPRINGG_JSON_OK ? 63 : 64) {
                    #expect(springg_json_array_begin(&reader) == SPRINGG_JSON_OK)
                    #expect(springg_json_array_next(&reader, &more) == SPRINGG_JSON_OK && more)
                }
                #expect(readFloats(&reader, capacity: 1).status == expected)
            }
        }
    }
}
