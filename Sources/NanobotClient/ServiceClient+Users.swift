// Users and what is theirs.

import HTTPTransport
import TextFormats

extension ServiceClient {
    /// - Parameter initial: watchlist, preferences, persona, custom_data; each may be left out.
    /// - Returns: the user, as GET /users/{id} shows them.
    public func createUser(_ id: String, initial: JSONObject = [:]) throws(ClientFailure) -> JSON {
        try answer(Call("POST", "users", body: ["user_id": .string(id), "initial_data": .object(initial)]))
    }

    public func user(_ id: String) throws(ClientFailure) -> JSON { try answer(Call("GET", "users", id)) }

    /// A page of users, by id.
    public func users(limit: Int? = nil, after: String? = nil) throws(ClientFailure) -> Page<JSON> {
        var call = Call("GET", "users")
        call.query = [("limit", limit.map(String.init)), ("after", after)]
        return try page(call) { $0 }
    }

    /// Deletes a user with all jobs, conversations, reports and memory.
    public func deleteUser(_ id: String) throws(ClientFailure) { _ = try answer(Call("DELETE", "users", id)) }

    /// Replaces the lists that are given; the others stay. - Returns: the user.
    public func setWatchlist(_ id: String, _ lists: JSONObject) throws(ClientFailure) -> JSON {
        try answer(Call("PUT", "users", id, "watchlist", body: .object(lists)))
    }

    /// Changes one list of the watchlist without losing what somebody else changes at the same time.
    /// - Parameters:
    ///   - list: stocks, influencers, keywords or sectors.
    ///   - change: the new entries for those that stand there; called again where somebody was faster.
    /// - Returns: the entries it was changed from, and the user.
    public func changeWatchlist(
        _ id: String, list: String, _ change: ([String]) -> [String]
    ) throws(ClientFailure) -> (before: [String], user: JSON) {
        for _ in 0..<10 {
            let response = try response(Call("GET", "users", id))
            guard let user = try? JSON.parse(response.body), let tag = response.header("ETag") else {
                throw ClientFailure("invalid_answer", "the answer is no user", status: response.status)
            }
            let before = user["watchlist"]?[list]?.array?.compactMap(\.string) ?? []
            // A repeated one would meet its own change, and be taken for somebody else's.
            var call = Call(
                "PUT", "users", id, "watchlist", body: .object([list: JSON(change(before))]), isRepeatable: false)
            call.headers = [("If-Match", tag)]
            do throws(ClientFailure) {
                return (before, try answer(call))
            } catch {
                guard error.status == 412 else { throw error }
            }
        }
        throw ClientFailure("version_conflict", "the watchlist of \(id) is changed all the time", isPassing: true)
    }

    /// Changes the preferences that are given. - Returns: the user.
    public func setPreferences(_ id: String, _ preferences: JSONObject) throws(ClientFailure) -> JSON {
        try answer(Call("PUT", "users", id, "preferences", body: .object(preferences)))
    }

    /// Changes the parts of the persona that are given. - Returns: the user.
    public func setPersona(_ id: String, _ persona: JSONObject) throws(ClientFailure) -> JSON {
        try answer(Call("PUT", "users", id, "persona", body: .object(persona)))
    }

    /// Bytes of an archive at most.
    private static let largestArchive = 1 << 40
    /// Seconds an archive may take, and seconds without a byte of it.
    private static let longestArchive: Double = 24 * 3_600
    private static let longestSilence: Double = 60

    /// All that is kept of the user as a tar archive, piece by piece on the calling thread. Tried once: the pieces cannot be taken
    /// back.
    /// - Throws: `ClientFailure`, also when the archive ends before its end; what `take` throws.
    public func export(_ id: String, _ take: ([UInt8]) throws -> Void) throws {
        var request = try request(Call("GET", "users", id, "export"))
        request.maxResponseBytes = Self.largestArchive
        request.deadline = Self.longestArchive
        request.idleTimeout = Self.longestSilence
        try withoutActuallyEscaping(take) { take in
            do {
                let response = try http.send(request, onBody: take)
                guard response.status < 400 else { throw ClientFailure(response) }
            } catch let error as TransportError {
                throw error.cause ?? ClientFailure(error, url: url)
            }
        }
    }

    /// The skills of the user's assistant, and what is wrong with their files; an array.
    public func skills(_ id: String) throws(ClientFailure) -> JSON { try answer(Call("GET", "users", id, "skills")) }

    /// What the user may use, and has used.
    public func limits(_ id: String) throws(ClientFailure) -> JSON { try answer(Call("GET", "users", id, "limits")) }

    /// - Parameter plan: of the service's settings; nil: none.
    public func setPlan(_ id: String, _ plan: String?) throws(ClientFailure) -> JSON {
        try answer(Call("PUT", "users", id, "plan", body: ["plan": JSON(plan)]))
    }

    /// Takes in no more jobs of the user.
    public func suspend(_ id: String, reason: String) throws(ClientFailure) -> JSON {
        try answer(Call("POST", "users", id, "suspend", body: ["reason": .string(reason)], isRepeatable: true))
    }

    public func resume(_ id: String) throws(ClientFailure) -> JSON {
        try answer(Call("POST", "users", id, "resume", isRepeatable: true))
    }
}
