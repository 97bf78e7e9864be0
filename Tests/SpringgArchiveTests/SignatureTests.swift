import SpringgArchive
import Testing

@Suite("AWS Signature Version 4: AWS's published examples")
struct SignatureTests {
    /// The examples of the S3 API reference, "Authenticating Requests: Using the Authorization Header".
    @Test("Amazon S3 API reference")
    func simpleStorageService() throws {
        let keys = try credentials(id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        let signer = AWSSignature(region: "us-east-1", service: "s3")
        let endpoint = try #require(HTTPEndpoint("https://examplebucket.s3.amazonaws.com"))
        let empty = HTTPField("x-amz-content-sha256", AWSSignature.emptyPayload)
        func check(
            _ request: HTTPRequest,
            payload: String = AWSSignature.emptyPayload,
            _ names: String,
            _ signature: String
        ) {
            var request = request
            signer.sign(&request, keys, payload: payload, atSeconds: 1_369_353_600)
            #expect(
                request.headers.last
                    == HTTPField(
                        "authorization",
                        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                            + "SignedHeaders=\(names), Signature=\(signature)"
                    )
            )
        }

        var get = HTTPRequest("GET", endpoint, path: "/test.txt")
        get.headers = [HTTPField("range", "bytes=0-9"), empty]
        check(
            get,
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )

        let content = hex(sha256(Array("Welcome to Amazon S3.".utf8)))
        var put = HTTPRequest(
            "PUT",
            endpoint,
            path: "/" + PercentEncoding.encode("test$file.text", keepingSlashes: true)
        )
        put.headers = [
            HTTPField("Date", "Fri, 24 May 2013 00:00:00 GMT"), HTTPField("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            HTTPField("x-amz-content-sha256", content),
        ]
        check(
            put,
            payload: content,
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        )

        var lifecycle = HTTPRequest("GET", endpoint, path: "/")
        lifecycle.query = [HTTPField("lifecycle", "")]
        lifecycle.headers = [empty]
        check(
            lifecycle,
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        )

        var list = HTTPRequest("GET", endpoint, path: "/")
        list.query = [HTTPField("prefix", "J"), HTTPField("max-keys", "2")]
        list.headers = [empty]
        check(
            list,
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        )
    }

    struct SuiteCase: Sendable, CustomTestStringConvertible {
        let name: String
        var method = "GET"
        var path = "/"
        var query: [HTTPField] = []
        var headers: [HTTPField] = []
        var token: String?
        var payload = AWSSignature.emptyPayload
        let signature: String

        var testDescription: String { name }
    }

    private static let letters = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    private static let form = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"

    /// The AWS signing test suite, version 4, the signatures in headers; S3 neither normalises paths nor encodes them twice,
    /// so cases of those are left out.
    static let suite: [SuiteCase] = [
        SuiteCase(name: "get-vanilla", signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        SuiteCase(
            name: "get-vanilla-query-order-key-case",
            query: [HTTPField("Param2", "value2"), HTTPField("Param1", "value1")],
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        ),
        SuiteCase(
            name: "post-header-key-sort",
            method: "POST",
            headers: [HTTPField("My-Header1", "value1")],
            signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"
        ),
        SuiteCase(
            name: "get-vanilla-with-session-token",
            token: "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        ),
        SuiteCase(
            name: "post-x-www-form-urlencoded-parameters",
            method: "POST",
            headers: [
                HTTPField("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
                HTTPField("Content-Length", "13"), HTTPField("x-amz-content-sha256", form),
            ],
            payload: form,
            signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"
        ),
        SuiteCase(
            name: "get-header-value-trim",
            headers: [HTTPField("My-Header1", " value1"), HTTPField("My-Header2", " \"a   b   c\"")],
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        ),
        SuiteCase(
            name: "get-header-key-duplicate",
            headers: ["value2", "value2", "value1"].map { HTTPField("My-Header1", $0) },
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"
        ),
        SuiteCase(
            name: "get-utf8",
            path: "/\u{1234}",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"
        ),
        SuiteCase(
            name: "get-space-unnormalized",
            path: "/example space/",
            signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"
        ),
        SuiteCase(
            name: "get-unreserved",
            path: "/" + letters,
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"
        ),
        SuiteCase(
            name: "get-vanilla-utf8-query",
            query: [HTTPField("\u{1234}", "bar")],
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"
        ),
        SuiteCase(
            name: "get-vanilla-query-unreserved",
            query: [HTTPField(letters, letters)],
            signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"
        ),
    ]

    @Test("signing test suite", arguments: suite)
    func signingSuite(example: SuiteCase) throws {
        let keys = try credentials(
            id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            token: example.token
        )
        let endpoint = try #require(HTTPEndpoint("https://example.amazonaws.com"))
        let path = PercentEncoding.encode(example.path, keepingSlashes: true)
        var request = HTTPRequest(example.method, endpoint, path: path)
        request.query = example.query
        request.headers = example.headers
        let signer = AWSSignature(region: "us-east-1", service: "service")
        signer.sign(&request, keys, payload: example.payload, atSeconds: 1_440_938_160)
        let authorization = try #require(request.headers.last)
        #expect(authorization.name == "authorization")
        #expect(authorization.value.hasSuffix("Signature=" + example.signature))
    }

    private func credentials(id: String, secret: String, token: String? = nil) throws -> AWSCredentials {
        try #require(
            AWSCredentials(accessKeyID: id, secretAccessKey: secret, sessionToken: token, expirySeconds: nil)
        )
    }
}
