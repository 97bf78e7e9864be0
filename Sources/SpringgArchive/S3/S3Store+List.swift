import SpringgLog

extension S3Store {
    /// Bytes of one page: a thousand keys of 1,024 bytes, each byte escaped, and what stands around them.
    private static let pageBytesMax = 8 << 20
    /// Keys that one request may remove.
    private static let deleteMax = 1_000

    /// See `ObjectStore`.
    @discardableResult
    public func list(
        prefix: String,
        after start: ObjectKey?,
        _ body: (ObjectInfo) throws -> Bool
    ) throws -> ListSummary {
        let ours = fullKey("")
        var query = [HTTPField("list-type", "2"), HTTPField("prefix", ours + prefix)]
        if let start { query.append(HTTPField("start-after", fullKey(start.text))) }
        var summary = ListSummary()
        var token: String?
        repeat {
            let page = try bucketPage(
                query + (token.map { [HTTPField("continuation-token", $0)] } ?? []),
                "ListBucketResult"
            )
            for entry in page.all("Contents") {
                guard let object = listed(entry, below: ours, prefix) else {
                    summary.foreign += 1
                    continue
                }
                if let start, object.key <= start { continue }
                summary.objects += 1
                guard try body(object) else { return summary }
            }
            let next = page["IsTruncated"] == "true" ? page["NextContinuationToken"] : nil
            guard page["IsTruncated"] != "true" || (next != nil && next != token) else {
                throw ObjectStoreError.unexpected(at: location, "a list that does not go on")
            }
            token = next
        } while token != nil
        return summary
    }

    /// An entry of a page; nil when its name is no key of ours.
    private func listed(_ entry: XMLElement, below ours: String, _ prefix: String) -> ObjectInfo? {
        guard let name = entry["Key"], name.utf8.starts(with: (ours + prefix).utf8),
            let key = try? ObjectKey(String(decoding: name.utf8.dropFirst(ours.utf8.count), as: UTF8.self)),
            let size = entry["Size"].flatMap({ Int($0) }), size >= 0,
            let modified = entry["LastModified"].flatMap(CivilTime.seconds)
        else { return nil }
        return ObjectInfo(key: key, size: size, tag: entry["ETag"], modifiedSeconds: modified, crc32c: nil)
    }

    /// An answer of the bucket itself as XML.
    private func bucketPage(_ query: [HTTPField], _ name: String) throws(ObjectStoreError) -> XMLElement {
        let operation = S3Operation(
            method: "GET",
            query: query,
            answerBytesMax: S3Store.pageBytesMax,
            place: location
        )
        let answer: HTTPAnswer
        do throws(ObjectStoreError) { answer = try connection.perform(operation) } catch .notFound {
            throw .storeNotFound("bucket " + connection.bucket)
        }
        guard let page = XMLElement(answer.body), page.name == name else {
            throw .unexpected(at: location, "no \(name)")
        }
        return page
    }

    // MARK: - Delete

    /// See `ObjectStore`.
    public func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        if keys.count == 1 {
            do throws(ObjectStoreError) {
                _ = try connection.perform(operation("DELETE", keys[0]))
            } catch .notFound {}
            return
        }
        for start in stride(from: 0, to: keys.count, by: S3Store.deleteMax) {
            try deleteTogether(keys[start..<min(start + S3Store.deleteMax, keys.count)])
        }
    }

    private func deleteTogether(_ keys: ArraySlice<ObjectKey>) throws(ObjectStoreError) {
        var document = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
        for key in keys { document += "<Object><Key>\(xmlEscaped(fullKey(key.text)))</Key></Object>" }
        var operation = S3Operation(method: "POST", query: [HTTPField("delete", "")], place: location)
        try operation.setDocument(document + "</Delete>")
        let md5 = Digest.md5(Array((document + "</Delete>").utf8))
        // S3 insists on a checksum here. The older one as well, for services that know no other.
        operation.headers.append(HTTPField("x-amz-checksum-crc32c", S3Checksum.text(operation.digest?.crc32c ?? 0)))
        if !md5.isEmpty { operation.headers.append(HTTPField("content-md5", Digest.base64(md5))) }
        let answer = try connection.perform(operation)
        guard let result = XMLElement(answer.body), result.name == "DeleteResult" else {
            throw .unexpected(at: location, "no DeleteResult")
        }
        for failure in result.all("Error") where failure["Code"] != "NoSuchKey" {
            let place = "s3://\(connection.bucket)/\(failure["Key"] ?? "")"
            throw S3Verdict(
                S3Problem(answer, failure),
                serverSeconds: nil,
                place: place,
                store: connection.bucket,
                localSeconds: 0
            ).error ?? .unexpected(at: place, "it was not removed")
        }
    }

    /// See `ObjectStore`.
    @discardableResult
    public func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        var removed = 0
        var markers: [HTTPField] = []
        while true {
            let query = [HTTPField("uploads", ""), HTTPField("prefix", fullKey(""))] + markers
            let page = try bucketPage(query, "ListMultipartUploadsResult")
            for upload in page.all("Upload") {
                guard let name = upload["Key"], name.utf8.starts(with: fullKey("").utf8), let id = upload["UploadId"],
                    let begun = upload["Initiated"].flatMap(CivilTime.seconds),
                    connection.storeSeconds() - begun > seconds
                else { continue }
                try abort(name, id)
                removed += 1
            }
            guard page["IsTruncated"] == "true" else { return removed }
            let next = [("NextKeyMarker", "key-marker"), ("NextUploadIdMarker", "upload-id-marker")].compactMap {
                from,
                to in
                page[from].map { HTTPField(to, $0) }
            }
            guard !next.isEmpty, next != markers else { throw .unexpected(at: location, "a list that does not go on") }
            markers = next
        }
    }
}
