"""Baseline: FastAPI and SQLAlchemy ORM, a business row and an outbox row, a commit per request (pool 20 + 0)."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class LineBody(BaseModel):
    """A line of an order."""

    person_id: str = Field(max_length=64)
    year: int = Field(ge=2000, le=2100)
    insurance: str
    amount_fen: int = Field(gt=0)


class OrderBody(BaseModel):
    """An order."""

    order_no: str = Field(max_length=64)
    channel: str = Field(max_length=40)
    paid_at: dt.datetime
    lines: list[LineBody] = Field(min_length=1, max_length=50)


class Base(DeclarativeBase):
    """Tables of the baseline."""


class PaymentRow(Base):
    """The business row."""

    __tablename__ = "orm_payment"
    order_no: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str]
    fen: Mapped[int]
    paid_at: Mapped[dt.datetime] = mapped_column(sa.DateTime(timezone=True))


class OutboxRow(Base):
    """The row a relay would publish."""

    __tablename__ = "orm_outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    payload: Mapped[str]


def create_app() -> FastAPI:
    """``BENCH_DATABASE_URL``: where its two tables are made."""
    address = make_url(os.environ["BENCH_DATABASE_URL"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, pool_size=20, max_overflow=0, pool_timeout=60)
    sessions = async_sessionmaker(engine, class_=AsyncSession)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/payments", status_code=201)
    async def record(body: OrderBody) -> dict[str, str]:
        line = body.lines[0]
        async with sessions() as session:
            session.add(
                PaymentRow(
                    order_no=body.order_no,
                    person_id=line.person_id,
                    fen=line.amount_fen,
                    paid_at=body.paid_at,
                )
            )
            session.add(OutboxRow(payload=body.model_dump_json()))
            await session.commit()
        return {"payment_id": body.order_no, "status": "RECEIVED"}

    return app
