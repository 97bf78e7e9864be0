import SpringgArchive
import SpringgLog
import SpringgTestKit
import Testing

@Suite("The forms of S3: times, checksums, XML, addresses")
struct S3FormTests {
    @Test("times are read and written, and nothing else is")
    func times() {
        #expect(CivilTime.basic(1_369_353_600) == "20130524T000000Z")
        #expect(CivilTime.basic(0) == "19700101T000000Z")
        for seconds in [0, 1, 951_782_400, 1_369_353_600, 4_102_444_799] {
            #expect(CivilTime.parseHTTPDate(FakeS3.httpDate(seconds)) == seconds)
            #expect(CivilTime.seconds(FakeS3.isoDate(seconds)) == seconds)
            #expect(FakeS3.compactSeconds(CivilTime.basic(seconds)) == seconds)
        }
        #expect(CivilTime.seconds("2013-05-24T00:00:00Z") == 1_369_353_600)
        #expect(CivilTime.seconds("2013-05-24T00:00:00.123456Z") == 1_369_353_600)
        for text in [
            "", "2013-05-24", "2013-05-24T00:00:00", "2013-13-24T00:00:00Z", "2013-05-24T24:00:00Z",
            "2013-05-24T00:00:00+00Z", "-013-05-24T00:00:00Z", "2013-05-24T00:00:00.Z",
            String(repeating: "Z", count: 25),
        ] {
            #expect(CivilTime.seconds(text) == nil, "\(text)")
        }
        for text in [
            "", "Fri, 24 May 2013 00:00:00 CET", "Fri, 24 Mai 2013 00:00:00 GMT", "Fri, xx May 2013 00:00:00 GMT",
        ] {
            #expect(CivilTime.parseHTTPDate(text) == nil, "\(text)")
        }
    }

    @Test("a CRC-32C is written as S3 writes it, and read back")
    func checksums() {
        // "123456789" has the CRC-32C E3069283 (RFC 3720).
        #expect(S3Checksum.text(0xE306_9283) == "4waSgw==")
        var random = SeededRandom.fromEnvironment("S3FormTests.checksums")
        for _ in 0..<1_000 {
            let crc = UInt32.random(in: 0 ... .max, using: &random)
            #expect(S3Checksum.value(S3Checksum.text(crc)) == crc)
        }
        for text in ["", "4waSgw==-3", "4waSgw=", "4waSg===", "4waSgx==", "4wa gw==", "4waSgwAA"] {
            #expect(S3Checksum.value(text) == nil, "\(text)")
        }
    }

    @Test("an answer of S3 is read")
    func document() throws {
        let text = """

            <?xml version="1.0" encoding="UTF-8"?>
            <!-- a comment -->
            <List xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name a='&lt;'>x</Name>
              <Entry><Key>a&amp;b &#x41;&#66;&quot;&apos;&gt;<![CDATA[<raw&>]]></Key><Empty/></Entry>
              <Entry><Key> blanks kept </Key></Entry>
            </List>
            """
        let root = try #require(XMLElement(Array(text.utf8)))
        #expect(root.name == "List")
        #expect(root["Name"] == "x")
        #expect(root.all("Entry").map { $0["Key"] } == ["a&b AB\"'><raw&>", " blanks kept "])
        #expect(root.all("Entry")[0]["Empty"] == "")
        #expect(root["Missing"] == nil)
        let odd = "<&\">'ü\u{1F600}"
        #expect(XMLElement(Array("<a>\(xmlEscaped(odd))</a>".utf8))?.text == odd)
    }

    @Test(
        "what is no document, or could do harm, is refused",
        arguments: [
            "", "text", "<a>", "<a></b>", "<a><b></a></b>", "</a>", "<a/><b/>", "<a/>x", "<a>&unknown;</a>",
            "<a>&#xD800;</a>",
            "<a>&#x110000;</a>", "<a>&#;</a>", "<a>&#-1;</a>", "<a b></a>", "<a b=c/>", "<a b='<'/>", "<a><b/>text</a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<a><!-- no end</a>", "<a><![CDATA[</a>", "<>x</>", "< a/>",
            String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
        ]
    )
    func refusedDocuments(text: String) {
        #expect(XMLElement(Array(text.utf8)) == nil)
    }

    @Test("bytes that are not UTF-8 are refused")
    func encoding() {
        #expect(XMLElement(Array("<a>".utf8) + [0xC3] + Array("</a>".utf8)) == nil)
    }

    @Test("whatever comes, the reader ends")
    func fuzz() {
        var random = SeededRandom.fromEnvironment("S3FormTests.fuzz")
        let seedText =
            "<?xml version=\"1.0\"?><L xmlns=\"u\"><E><K>a&amp;&#65;</K><S/></E><!-- c --><E><![CDATA[x]]></E></L>"
        let pieces = [
            "<", ">", "</", "/>", "&", ";", "]]>", "<!--", "-->", "<![CDATA[", "<?", "?>", "\"", "=", "&#x", "\0",
        ]
        for _ in 0..<20_000 {
            var bytes = Array(seedText.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(position..<min(bytes.count, position + 9))
                case 2: bytes.insert(contentsOf: pieces.randomElement(using: &random)?.utf8 ?? "".utf8, at: position)
                default: bytes += bytes[position...]
                }
                if bytes.isEmpty { bytes = [0] }
            }
            if let root = XMLElement(bytes) { #expect(!root.name.isEmpty) }
        }
    }

    @Test("host or path holds the bucket, as it must")
    func addresses() throws {
        func address(
            _ bucket: String,
            _ change: (inout S3Options) -> Void,
            _ environment: [String: String] = [:]
        ) throws -> String {
            var options = S3Options()
            change(&options)
            let address = try S3Address(bucket: bucket, options, environment: { environment[$0] })
            return address.endpoint.description + address.root
        }
        #expect(try address("abc") { _ in } == "https://abc.s3.us-east-1.amazonaws.com/")
        #expect(try address("abc") { $0.region = "cn-north-1" } == "https://abc.s3.cn-north-1.amazonaws.com.cn/")
        #expect(try address("a.b.c") { _ in } == "https://s3.us-east-1.amazonaws.com/a.b.c/")
        #expect(try address("abc") { $0.forcesPathStyle = true } == "https://s3.us-east-1.amazonaws.com/abc/")
        #expect(try address("abc") { $0.endpoint = "http://127.0.0.1:9000" } == "http://127.0.0.1:9000/abc/")
        #expect(try address("abc") { $0.endpoint = "http://[::1]:9000/" } == "http://[::1]:9000/abc/")
        #expect(try address("abc") { $0.endpoint = "http://minio:9000" } == "http://minio:9000/abc/")
        #expect(try address("abc") { $0.endpoint = "https://s3.example.com" } == "https://abc.s3.example.com/")
        #expect(
            try address("abc", { _ in }, ["AWS_ENDPOINT_URL": "https://x.example.com:443"])
                == "https://abc.x.example.com/"
        )
        for endpoint in [
            "ftp://x", "x", "http://", "http://u:p@x", "http://x/path", "http://x:0", "http://x:99999", "http://a b",
        ] {
            #expect(throws: ObjectStoreError.self) { try address("abc") { $0.endpoint = endpoint } }
        }
        #expect(throws: ObjectStoreError.self) { try address("abc") { $0.region = "eu/x" } }
    }

    @Test("the settings of encryption")
    func encryption() throws {
        #expect(try S3Encryption(setting: "bucket", keyID: "") == .bucketDefault)
        #expect(try S3Encryption(setting: "AES256", keyID: "") == .managedKeys)
        #expect(try S3Encryption(setting: "aws:kms", keyID: "") == .keyService(keyID: ""))
        #expect(try S3Encryption(setting: "aws:kms", keyID: "k") == .keyService(keyID: "k"))
        for (setting, keyID) in [("x", ""), ("bucket", "k"), ("AES256", "k"), ("aws:kms", "k\r\nX-Header: 1")] {
            #expect(throws: ObjectStoreError.self) { try S3Encryption(setting: setting, keyID: keyID) }
        }
    }

    @Test("pauses grow, stay within bounds, and end")
    func retries() {
        var random = SeededRandom.fromEnvironment("S3FormTests.retries")
        let rule = RetryRule()
        for attempt in 1...7 {
            for _ in 0..<100 {
                let bound = min(20_000, 100 << (attempt - 1))
                let pause = rule.pause(afterAttempt: attempt, .trouble, using: &random)
                #expect((bound / 2...bound).contains(pause ?? -1))
                let overload = rule.pause(afterAttempt: attempt, .overload(afterSeconds: nil), using: &random) ?? -1
                #expect((500...20_000).contains(overload))
                #expect(rule.pause(afterAttempt: attempt, .overload(afterSeconds: 30), using: &random) ?? 0 >= 30_000)
                #expect(
                    rule.pause(afterAttempt: attempt, .overload(afterSeconds: 9_999), using: &random) ?? 0 <= 60_000
                )
            }
        }
        #expect(rule.pause(afterAttempt: 8, .trouble, using: &random) == nil)
        #expect(rule.pause(afterAttempt: 8, .overload(afterSeconds: 1), using: &random) == nil)
    }
}
