// The agent's view of the user's schedules and preferences: everything goes through `Accounts` and the scheduler, as the
// API does. Called on worker threads, several at once.

import Accounts
import Agent
import Foundation
import Scheduler
import Tenants
import TextFormats

struct SchedulerBook: ScheduleBook {
    let accounts: Accounts
    let scheduler: ReportScheduler

    func updatePreferences(user: UserID, _ change: PreferencesChange) throws -> UserConfig {
        try accounts.updatePreferences(user, change)
    }

    func schedules(user: UserID) throws -> JSON {
        try scheduler.summary(user).json
    }

    func addSchedule(
        user: UserID, expression: String, timezone: String?, message: String, session: SessionID?, id: String
    ) throws -> JSON {
        // The same id with the same content is the same schedule: a repeated step changes nothing.
        var job: JSONObject = ["kind": "chat", "message": .string(message)]
        if let session, session != .standard { job["session_id"] = .string(session.rawValue) }
        var request: JSONObject = ["expression": .string(expression), "job": .object(job)]
        request["timezone"] = timezone.map { .string($0) }
        return try scheduler.create(user, .object(request), id: id).json
    }

    func removeSchedule(user: UserID, id: String) throws -> Bool { try scheduler.remove(user, id) }
}
