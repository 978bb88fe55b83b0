"""`make`: the commands, the chapters, and how far you have come."""

from __future__ import annotations

import argparse

from course import console, progress
from course.language import language
from course.manifest import load

COMMANDS = {
    "en": [
        ("make chapter-N", "run chapter N and see what to try       (PORT=9000 moves it)"),
        ("make start-N", "copy the starting point of chapter N to work/"),
        ("make check-N", 'grade work/, or CMD="node server.js", or URL=ws://…'),
        ("make hint-N · make diff-N", "the next hint · the solution as a diff"),
        ("make progress", "what has passed"),
        ("make wire", "watch and break a connection: TO=ws://… FAULT=blackhole"),
        ("make doctor", "say what is wrong with an endpoint: URL=wss://…"),
        ("make break-NAME", "set up one broken deployment, to diagnose and cure; break-list"),
        ("make site", "read the lessons, in English and Chinese"),
        ("make dev", "the React front end behind Vite's proxy: vite-proxy/"),
        ("make test", "everything that CI runs"),
    ],
    "zh": [
        ("make chapter-N", "运行第 N 章，并告诉你可以试什么      （PORT=9000 换端口）"),
        ("make start-N", "把第 N 章的起点复制到 work/"),
        ("make check-N", '评分 work/，或 CMD="node server.js"，或 URL=ws://…'),
        ("make hint-N · make diff-N", "下一条提示 · 以 diff 形式看答案"),
        ("make progress", "已经通过了什么"),
        ("make wire", "观察并破坏一条连接：TO=ws://… FAULT=blackhole"),
        ("make doctor", "诊断一个端点哪里有问题：URL=wss://…"),
        ("make break-NAME", "搭建一个出故障的环境，供诊断和修复；break-list 列出全部"),
        ("make site", "阅读课程网页（中英文）"),
        ("make dev", "React 前端（vite-proxy/），经 Vite 代理连接后端"),
        ("make test", "CI 运行的全部内容"),
    ],
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("list", help="the commands and the chapters", description=__doc__)


def main(options: argparse.Namespace) -> int:
    course, speak = load(), language()
    print(console.bold("Frame by Frame 《逐帧》"), end="\n\n")
    width = max(len(command) for command, _ in COMMANDS[speak])
    for command, text in COMMANDS[speak]:
        print(f"  {command.ljust(width)}  {text}")
    print()
    passed = progress.read()
    for chapter in course.chapters:
        mark = progress.mark(passed, chapter.number)
        print(f"  {mark} {chapter.number:>2}  {chapter.title[speak]}")
    return 0
