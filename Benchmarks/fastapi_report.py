"""The route of the reference system, as such a service is written with FastAPI: a report's state from its file, as JSON by a model.

    FILE=report.json python -m uvicorn --app-dir Benchmarks fastapi_report:app --port N --log-level critical
"""
import json
import os
from typing import Optional

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()


class Report(BaseModel):
    report_id: str
    user_id: str
    status: str
    progress: int
    content: Optional[str] = None
    format: Optional[str] = None
    error_message: Optional[str] = None
    created_at: str
    completed_at: Optional[str] = None


@app.get("/reports/{report_id}", response_model=Report)
def show(report_id: str):
    with open(os.environ["FILE"]) as file:
        report = json.load(file)
    if report["report_id"] != report_id:
        raise HTTPException(404)
    return report
