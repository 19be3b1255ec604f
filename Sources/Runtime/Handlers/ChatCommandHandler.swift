// Chats that are commands: /help, /new, /status, /stop. No model is asked and nothing of them is kept in the session. An
// answer looks like any chat's. Called on worker threads; keeps nothing. /stop has done its work when it was admitted
// (JobClient): here is only its answer.

import Agent
import Foundation
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats
import Workers

struct ChatCommandHandler: Sendable {
    let budgets: BudgetDesk
    let defaultModel: String
    let now: @Sendable () -> Date

    func run(_ command: ChatCommand, _ job: ClaimedJob, _ setting: JobSetting) -> JobOutcome {
        let session = setting.request.sessionID ?? .standard
        let language = setting.request.language ?? setting.config.preferences.language
        let texts = CommandTexts(isChinese: language.lowercased().hasPrefix("zh"))
        do {
            let text: String
            switch command {
            case .help: text = texts.help
            case .stop: text = texts.stopped
            case .new:
                try SessionStore(workspace: setting.workspace).reset(session, by: job.id.description, at: now())
                text = texts.reset
            case .status: text = try status(texts, session, setting)
            }
            return .completed(
                result: [
                    "response": .string(text), "session_id": .string(session.rawValue), "model": "nanobot",
                    "command": .string(command.rawValue),
                ], usage: TokenUsage.zero.json)
        } catch {
            return .failed(failure(error), usage: nil)
        }
    }

    private func failure(_ error: any Error) -> JobFailure {
        if let error = error as? AgentError {
            return JobFailure(code: error.code, detail: error.detail, isRetryable: error.isRetryable)
        }
        if let error = error as? TenantError {
            return JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: error.isPassing)
        }
        return JobFailure(code: "internal", detail: "\(error)", isRetryable: true)
    }

    private func status(_ texts: CommandTexts, _ session: SessionID, _ setting: JobSetting) throws -> String {
        var messages = 0
        do throws(AgentError) {
            messages = try SessionStore(workspace: setting.workspace).currentMessages(session)
        } catch {
            guard error.code == "session_not_found" else { throw error }
        }
        let summary = try budgets.summary(of: setting.request.userID)
        return texts.status(
            session: session.rawValue, messages: messages, model: setting.request.model ?? defaultModel,
            tokens: summary["tokens_today"]?.int ?? 0, limit: summary["tokens_per_day"]?.int,
            cost: summary["cost_this_month"]?.double ?? 0, plan: summary["plan"]?.string)
    }
}

/// The answers, in the user's language: Chinese, or English for all others.
struct CommandTexts {
    var isChinese: Bool

    var help: String {
        isChinese
            ? """
            /new 开始新的对话（之前的内容仍可查看）
            /status 查看会话、模型和用量
            /stop 停止当前正在进行和排队的请求
            /help 显示这份说明
            其他内容会交给助手回答。
            """
            : """
            /new  begin a new conversation (what was said stays readable)
            /status  the session, the model and what you have used
            /stop  end what is running or waiting in this session
            /help  this list
            Everything else is for the assistant.
            """
    }

    var stopped: String {
        isChinese ? "已停止。这个会话中正在进行和排队的请求都已取消。" : "Stopped: what ran or waited in this session is cancelled."
    }

    var reset: String {
        isChinese ? "好的，我们重新开始。之前的对话仍保存在记录里。" : "A new conversation begins. What was said before is kept."
    }

    func status(
        session: String, messages: Int, model: String, tokens: Int, limit: Int?, cost: Double, plan: String?
    ) -> String {
        let money = String(format: "%.4f", cost)
        if isChinese {
            return """
                会话：\(session)，\(messages) 条消息
                模型：\(model)
                今日用量：\(tokens) 个 token\(limit.map { "，上限 \($0)" } ?? "")
                本月费用：\(money) 美元\(plan.map { "\n套餐：\($0)" } ?? "")
                """
        }
        return """
            Session: \(session), \(messages) messages
            Model: \(model)
            Used today: \(tokens) tokens\(limit.map { " of \($0)" } ?? "")
            Cost this month: \(money) USD\(plan.map { "\nPlan: \($0)" } ?? "")
            """
    }
}
