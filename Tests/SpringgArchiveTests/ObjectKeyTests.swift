import SpringgArchive
import Testing

@Suite("Keys and places of object stores")
struct ObjectKeyTests {
    @Test(
        "a key that could leave the store or confuse it is refused",
        arguments: [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "a\nb", "a\u{0}b", "a\u{7F}",
            ".incoming/x",
            String(repeating: "a", count: 256), String(repeating: "a/", count: 350) + "a",
        ]
    )
    func refused(text: String) {
        #expect {
            try ObjectKey(text)
        } throws: { error in
            if case .invalidKey? = error as? ObjectStoreError { true } else { false }
        }
    }

    @Test("two spellings of one letter are two keys")
    func spellings() throws {
        let composed = try ObjectKey("\u{FC}")
        let decomposed = try ObjectKey("u\u{308}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(try ObjectKey("a-b") < ObjectKey("a/b"))
        #expect(try ObjectKey("a.b") < ObjectKey("a/b"))
    }

    @Test("the three forms of a place")
    func places() throws {
        #expect(try ObjectStoreURL("s3://bucket") == .s3(bucket: "bucket", prefix: ""))
        #expect(try ObjectStoreURL("s3://bucket/") == .s3(bucket: "bucket", prefix: ""))
        #expect(try ObjectStoreURL("s3://my-bucket/a/b/") == .s3(bucket: "my-bucket", prefix: "a/b"))
        #expect(try ObjectStoreURL("file:///var/backup/") == .directory(path: "/var/backup"))
        #expect(try ObjectStoreURL("/var/backup") == .directory(path: "/var/backup"))
        #expect(try ObjectStoreURL("backup") == .directory(path: "backup"))
        for text in ["s3://bucket/a/b", "file:///var/backup", "backup"] {
            #expect(try ObjectStoreURL(text).description == text)
        }
    }

    @Test(
        "anything else is refused with a hint",
        arguments: [
            "", "s3://", "s3:///key", "s3://ab", "s3://bu cket", "s3://bucket/../x", "s3://user:pass@bucket",
            "https://bucket/x",
            "file://host/x", "file:///a%20b", "s3://bucket/" + String(repeating: "p", count: 301),
        ]
    )
    func refusedPlaces(text: String) {
        #expect {
            try ObjectStoreURL(text)
        } throws: { error in
            "\(error)".contains("Give s3://BUCKET/PREFIX or file:///DIRECTORY")
        }
    }
}
