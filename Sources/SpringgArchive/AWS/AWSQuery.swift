/// A service of AWS that takes a form and answers in XML, such as EC2 and Auto Scaling ("query protocol").
struct AWSQuery: Sendable {
    /// What the endpoint and the signature call it, such as `autoscaling`.
    let service: String
    /// Of its interface, such as `2011-01-01`.
    let version: String
    let endpoint: HTTPEndpoint
    let region: String
    let transport: any HTTPTransport
    let credentials: CredentialChain
    let wallClockSeconds: @Sendable () -> Int

    /// Bytes of one page; a thousand instances are about four million.
    private static let answerBytesMax = 16 << 20
    /// Pages of one answer; more instances than that no group has.
    private static let pagesMax = 64
    /// The next page comes by this name, in either service's spelling.
    private static let tokenNames = ["NextToken", "nextToken"]

    /// Asks, and gives each page of the answer to `take`.
    ///
    /// One attempt: whoever asks does so again and again anyway.
    func each(
        _ action: String,
        _ parameters: [HTTPField],
        _ take: (XMLElement) throws(EC2Problem) -> Void
    ) throws(EC2Problem) {
        var token: String?
        var pages = 0
        repeat {
            let page = try page(action, parameters + (token.map { [HTTPField("NextToken", $0)] } ?? []))
            try take(page)
            // Auto Scaling wraps its result once more.
            let result = page.children.first { $0.name == action + "Result" } ?? page
            token = AWSQuery.tokenNames.compactMap { result[$0] }.first { !$0.isEmpty }
            pages += 1
        } while token != nil && pages < AWSQuery.pagesMax
    }

    private func page(_ action: String, _ parameters: [HTTPField]) throws(EC2Problem) -> XMLElement {
        func problem(_ text: String) -> EC2Problem { EC2Problem("\(service) \(action): \(text)") }
        let form = ([HTTPField("Action", action), HTTPField("Version", version)] + parameters)
            .map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }.joined(separator: "&")
        var refused: AWSCredentials?
        while true {
            let keys: AWSCredentials
            do throws(CredentialProblem) {
                keys = try credentials.current(insteadOf: refused)
            } catch {
                throw problem("no credentials: \(error.reason)")
            }
            guard keys != refused else { throw problem("the credentials are not accepted") }
            let answer: HTTPAnswer
            do throws(HTTPFailure) {
                answer = try transport.send(signed(form, keys))
            } catch {
                throw problem("\(endpoint): \(error.text)")
            }
            let document = XMLElement(answer.body)
            if answer.isSuccess, let document { return document }
            let error = document.flatMap { AWSQuery.error($0) }
            // Keys of a role end; new ones are fetched once.
            if refused == nil, AWSQuery.isOfCredentials(error?.code) {
                refused = keys
                continue
            }
            throw problem(error.map { "\($0.code): \($0.message.prefix(500))" } ?? "status \(answer.status)")
        }
    }

    private func signed(_ form: String, _ keys: AWSCredentials) -> HTTPRequest {
        var request = HTTPRequest("POST", endpoint, path: "/")
        request.headers = [HTTPField("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
        request.body = HTTPBody(.bytes(Array(form.utf8)))
        request.timeouts.connectMilliseconds = 3_000
        request.timeouts.totalMilliseconds = 15_000
        request.answerBytesMax = AWSQuery.answerBytesMax
        AWSSignature(region: region, service: service)
            .sign(&request, keys, payload: Digest.sha256Hex(of: form), atSeconds: wallClockSeconds())
        return request
    }

    /// `ErrorResponse/Error` of Auto Scaling, `Response/Errors/Error` of EC2.
    private static func error(_ document: XMLElement) -> (code: String, message: String)? {
        let holder = document.all("Errors").first ?? document
        guard let error = holder.all("Error").first, let code = error["Code"] else { return nil }
        return (code, error["Message"] ?? "")
    }

    private static func isOfCredentials(_ code: String?) -> Bool {
        ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "AuthFailure"]
            .contains(code)
    }
}
