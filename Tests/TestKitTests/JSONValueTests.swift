import SpringgTestKit
import Testing

@Suite struct JSONValueTests {
    @Test func documentsAreRead() throws {
        let value = try JSONValue(text: #" {"a":[1,-2.5e3,true,null],"b":{"c":"\u00e9\n\ud83d\ude00"},"b2":[]} "#)
        #expect(value["a"]?[1]?.double == -2500)
        #expect(value["a"]?[2]?.bool == true)
        #expect(value["a"]?[3]?.isNull == true)
        #expect(value["b"]?["c"]?.string == "é\n😀")
        #expect(value.keys == ["a", "b", "b2"])
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "nul", "[1] x", "\"\\x\"", "\"\\ud800\"", "\"a\nb\"", "{a:1}",
        "--1", "[,1]", "{\"a\":1,}", ".5", "1e", "\"",
    ])
    func whatIsNoJSONIsRefused(_ text: String) {
        #expect(throws: TestKitError.self) { try JSONValue(text: text) }
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: TestKitError.self) { try JSONValue([0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: TestKitError.self) { try JSONValue([0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test func equalityIsByValue() throws {
        #expect(try JSONValue(text: #"{"a":1,"b":[2.0]}"#) == JSONValue(text: #"{"b":[2],"a":1e0}"#))
        #expect(try JSONValue(text: "[1,2]") != JSONValue(text: "[2,1]"))
        #expect(try JSONValue(text: "{}") != JSONValue(text: "[]"))
    }

    @Test func textReadsBackAsTheSameValue() throws {
        let value = try JSONValue(text: #"{"q\"\\":"\u0001é😀","n":[1e-7,-0,12345678901234567890]}"#)
        #expect(try JSONValue(text: value.description) == value)
    }

    @Test func floatsAreRoundedOnce() throws {
        var random = SeededRandom.fromEnvironment("JSON floats")
        let floats = random.floats(1000) + [.leastNonzeroMagnitude, .greatestFiniteMagnitude, -0.0]
        #expect(try JSONValue(text: JSONValue.array(of: floats)).floats?.map(\.bitPattern) == floats.map(\.bitPattern))
    }
}
