/// What one operation of S3 sends.
struct S3Operation {
    var method: String
    /// The key with the store's prefix; nil for the bucket itself.
    var fullKey: String?
    var query: [HTTPField] = []
    var headers: [HTTPField] = []
    var body: HTTPBody?
    /// Of `body`, which is read once for it however often it is sent.
    var digest: PayloadDigest?
    var streamsAnswer = false
    var answerBytesMax = 1 << 20
    /// Store and key in one text, for messages.
    var place: String

    /// Makes an XML document the body.
    mutating func setDocument(_ text: String) throws(ObjectStoreError) {
        let bytes = Array(text.utf8)
        body = HTTPBody(.bytes(bytes))
        digest = try PayloadDigest(.bytes(bytes), 0..<bytes.count)
        headers.append(HTTPField("content-type", "application/xml"))
    }
}
