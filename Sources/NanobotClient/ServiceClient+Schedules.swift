// When jobs are submitted by themselves. Schedules are given and answered as docs/openapi.yaml describes them.

import Foundation
import TextFormats

extension ServiceClient {
    public func schedules(of user: String) throws(ClientFailure) -> [JSON] {
        var call = Call("GET", "users", user, "schedules")
        var all: [JSON] = []
        while true {
            let page = try page(call) { $0 }
            all += page.items
            guard page.hasMore, let last = page.items.last?["id"]?.string else { return all }
            call.query = [("after", last)]
        }
    }

    /// The service draws its id from a key that goes with the call: sent twice, it is one schedule.
    public func addSchedule(_ schedule: JSONObject, to user: String) throws(ClientFailure) -> JSON {
        var call = Call("POST", "users", user, "schedules", body: .object(schedule), isRepeatable: true)
        call.headers = [("Idempotency-Key", UUID().uuidString.lowercased())]
        return try answer(call)
    }

    /// Changes the members that are given; `enabled` false pauses it.
    public func changeSchedule(_ id: String, of user: String, _ change: JSONObject) throws(ClientFailure) -> JSON {
        try answer(Call("PATCH", "users", user, "schedules", id, body: .object(change), isRepeatable: true))
    }

    public func removeSchedule(_ id: String, of user: String) throws(ClientFailure) {
        _ = try answer(Call("DELETE", "users", user, "schedules", id))
    }

    /// Submits its job now; its fire times stay as they are.
    public func runSchedule(_ id: String, of user: String) throws(ClientFailure) -> Ticket {
        try Ticket(try answer(Call("POST", "users", user, "schedules", id, "run")))
    }

    /// Its last 20 runs, newest first.
    public func scheduleHistory(_ id: String, of user: String) throws(ClientFailure) -> [JSON] {
        try answer(Call("GET", "users", user, "schedules", id, "history")).array ?? []
    }
}
