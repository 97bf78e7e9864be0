import Foundation
import NIOHTTP1
import SpringgNet
import SpringgTestKit
import Testing

/// What the server says of itself: `/openapi.json`, the page, the newest events.
@Suite struct DescriptionTests {
    @Test func theDescriptionNamesEveryRouteAndNoOther() async throws {
        try await TestServer.run({ $0.version = "7.8.9" }) { server throws in
            let document = try server.client().request("GET", "/openapi.json").json()
            #expect(document["openapi"]?.string == "3.1.0" && document["info"]?["version"]?.string == "7.8.9")
            let paths = try #require(document["paths"])
            var described: Set<String> = []
            var operations: Set<String> = []
            for path in paths.keys {
                for method in try #require(paths[path]).keys where method != "parameters" {
                    let operation = try #require(paths[path]?[method])
                    #expect(operations.insert(try #require(operation["operationId"]?.string)).inserted)
                    // The router knows it.
                    let uri = path.replacing("{name}", with: "a").replacing("{id}", with: "x").replacing(
                        "{number}",
                        with: "0"
                    )
                    let routing = Router.route(method: HTTPMethod(rawValue: method.uppercased()), uri: uri)
                    guard case .target(let target) = routing else {
                        Issue.record("\(method) \(path) is described and not there")
                        continue
                    }
                    described.insert("\(target.endpoint.route.method) \(target.endpoint.route.path)")
                    // Names in the path are parameters.
                    let names = (paths[path]?["parameters"]?.array ?? []).compactMap { $0["name"]?.string }
                    #expect(
                        names.sorted()
                            == path.split(separator: "{").dropFirst().map { String($0.prefix { $0 != "}" }) }.sorted()
                    )
                    // Whoever needs a token reads so.
                    let isPublic = operation["security"]?.array?.isEmpty == true
                    #expect(isPublic == (target.endpoint.scope == nil), "\(method) \(path)")
                }
            }
            let routes = Set(Endpoint.allCases.map { "\($0.route.method) \($0.route.path)" })
            #expect(described == routes)
            #expect(routes.count == Endpoint.allCases.count)
            let codes = document["components"]?["schemas"]?["Error"]?["properties"]?["code"]?["enum"]?.array
            #expect(Set(try #require(codes).compactMap(\.string)) == Set(ErrorCode.allCases.map(\.rawValue)))
        }
    }

    @Test func everyReferenceLeadsSomewhere() async throws {
        try await TestServer.run { server throws in
            let document = try server.client().request("GET", "/openapi.json").json()
            var references: Set<String> = []
            func collect(_ value: JSONValue) {
                switch value {
                case .array(let elements): elements.forEach(collect)
                case .object(let members):
                    for member in members {
                        if member.key == "$ref", let text = member.value.string { references.insert(text) }
                        collect(member.value)
                    }
                case .null, .bool, .number, .string: ()
                }
            }
            collect(document)
            #expect(references.count > 15)
            for reference in references {
                var value: JSONValue? = document
                for part in reference.split(separator: "/").dropFirst() { value = value?[String(part)] }
                #expect(value != nil, "\(reference)")
            }
        }
    }

    @Test func thePageKeepsToItself() async throws {
        try await TestServer.run({
            $0.requireJWT = true; $0.jwtSecret = TestServer.secret
        }) { server throws in
            let page = try server.client().request("GET", "/")
            #expect(page.status == 200 && page.header("content-type") == "text/html; charset=utf-8")
            let policy = try #require(page.header("content-security-policy"))
            #expect(policy.hasPrefix("default-src 'none'; connect-src 'self'; "))
            for word in ["unsafe", "http", "*", "sha256-'"] { #expect(!policy.contains(word), "\(word)") }
            #expect(
                policy.split(separator: "sha256-").dropFirst().allSatisfy { $0.prefix { $0 != "'" }.utf8.count == 44 }
            )
            // Nothing from elsewhere, nothing that a policy without 'unsafe-inline' would not run, no markup from data.
            for word in [
                "http://", "https://", "//cdn", "<link rel=\"style", " src=", " style=", " onclick", "innerHTML",
                "eval(",
            ] {
                #expect(!page.text.contains(word), "\(word)")
            }
            #expect(page.text.components(separatedBy: "<script>").count == 2)
            #expect(page.text.components(separatedBy: "<style>").count == 2)
        }
    }

    @Test func theNewestEventsComeFirst() async throws {
        try await TestServer.run { server throws in
            let client = server.client()
            #expect(try client.request("GET", "/api/events").data() == .array([]))
            #expect(try client.request("POST", "/api/indexes/a", #"{"dimensions":2}"#).status == 200)
            for number in 0..<300 {
                let body = #"{"id":"é\#(number)","vector":[1,\#(number)]}"#
                #expect(try client.request("POST", "/api/indexes/a/vectors", body).status == 200)
            }
            #expect(try client.request("DELETE", "/api/indexes/a/vectors/%C3%A90").status == 200)
            #expect(try client.request("POST", "/api/marks", #"{"name":"m"}"#).status == 200)
            #expect(try client.request("DELETE", "/api/indexes/a").status == 200)
            let newest = try #require(try client.request("GET", "/api/events?limit=4").data().array)
            #expect(newest.map { $0["lsn"]?.int } == [304, 303, 302, 301])
            #expect(newest.map { $0["kind"]?.string } == ["index_deleted", "mark", "vector_deleted", "vector_put"])
            #expect(newest[3]["id"]?.string == "é299" && newest[3]["dimensions"]?.int == 2)
            #expect(try client.request("GET", "/api/events").data().array?.count == 50)
            #expect(try client.request("GET", "/api/events?limit=1000").data().array?.count == 304)
            for limit in ["0", "1001", "-1", "x", ""] {
                #expect(try client.request("GET", "/api/events?limit=\(limit)").status == 400, "\(limit)")
            }
        }
    }
}
