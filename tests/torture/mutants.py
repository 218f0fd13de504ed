"""The program without one of its defences: each line takes one away, and names a test that has to fail then.

`body` puts a statement in the place of a function's body, `text` one piece of source in the place of another. That they
still fit is seen in every run (`tests/test_faults.py`); that the test fails, by `make torture`.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """`by` is the test that fails without the defence of fault `row`. With a `function` (a method as Class.method), all
    of its body but the docstring is `old`."""

    row: int
    by: str
    file: str
    new: str
    old: str = ""
    function: str = ""

    def __str__(self) -> str:
        what = self.function or " ".join(self.old.split())
        return f"{self.row}-{Path(self.file).stem}-{what[:40]}-{' '.join(self.new.split())[:30]}"

    @property
    def path(self) -> Path:
        return ROOT / self.file

    def applied(self, source: str) -> str:
        """The source without the defence. Raises ValueError where it does not fit."""
        if self.function:
            first, last, indent = _body(source, self.function)
            lines = source.splitlines()
            return "\n".join([*lines[:first], textwrap.indent(self.new, indent), *lines[last:]]) + "\n"
        if source.count(self.old) != 1:
            raise ValueError(f"{self.file} has {source.count(self.old)} times: {self.old}")
        return source.replace(self.old, self.new)


def _body(source: str, function: str) -> tuple[int, int, str]:
    """The lines of a function's body, without its docstring, and their indentation."""
    scope: ast.AST = ast.parse(source)
    for name in function.split("."):
        named = [node for node in ast.iter_child_nodes(scope) if getattr(node, "name", "") == name]
        if len(named) != 1:
            raise ValueError(f"no function {function}")
        scope = named[0]
    assert isinstance(scope, ast.FunctionDef)
    body = scope.body[1:] if ast.get_docstring(scope) else scope.body
    return body[0].lineno - 1, scope.body[-1].end_lineno or 0, " " * body[0].col_offset


def body(row: int, by: str, file: str, function: str, new: str) -> Mutant:
    return Mutant(row, by, file, new, function=function)


def text(row: int, by: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(row, by, file, new, old)


INDEX, SOURCES, ENCODER, WRITING = "rag/index/", "rag/sources/", "rag/encoder/", "rag/generation/"
EVALUATION, WIKI, CLI, ANSWER = "rag/evaluation/", "rag/sources/wiki/", "rag/cli.py", "rag/answer.py"
DATABASE, GENERATION, PUBLISHING, SYNC = (
    INDEX + n for n in ("database.py", "generation.py", "publishing.py", "sync.py")
)
LOCK, COLLECTION, AUDIT = INDEX + "lock.py", INDEX + "collection.py", INDEX + "audit.py"
WALK, ISOLATE, CHILD = SOURCES + "walk.py", SOURCES + "isolate.py", SOURCES + "child.py"
READING, OFFICE, PDF = SOURCES + "reading.py", SOURCES + "office.py", SOURCES + "pdf.py"
RUNNING, FALLBACK, TEXT = SOURCES + "running.py", SOURCES + "fallback.py", SOURCES + "text.py"

SYNCED = "test_what_is_acknowledged_or_named_was_synced_before"
STOPPED = "test_stopped_and_continued"

MUTANTS = [
    # 1: killed while it indexes
    text(1, SYNCED, DATABASE, '    db.execute("PRAGMA synchronous=FULL")\n    db', '    db.execute("PRAGMA synchronous=NORMAL")\n    db'),
    text(1, SYNCED, DATABASE, "                sync_folder(folder)\n", "                pass\n"),
    text(1, "test_what_is_said_to_be_done_is_there_already", SYNC, "                    self._record(reading, passages, vectors)\n", "                    if self._progress:\n                        self._progress.documents(done, size, reading.entry.name)\n                    self._record(reading, passages, vectors)\n"),
    text(1, "test_an_interrupted_sync_is_finished_by_the_next", SYNC, "            if old.version in self._awaited:\n", "            if False:\n"),
    text(1, STOPPED, LOCK, "finished = not os.fstat(handle).st_size", "finished = True"),
    text(1, "test_children_die_with_a_parent_that_is_killed", CHILD, "        ctypes.CDLL(None).prctl(1, signal.SIGKILL)", "        ctypes.CDLL(None).prctl(1, 0)"),
    # 2: killed while the index is saved
    text(2, SYNCED, PUBLISHING, "            os.fsync(handle.fileno())\n", "            pass\n"),
    text(2, SYNCED, PUBLISHING, "        draft.rename(folder_of(home, number))\n        database.sync_folder(home)\n", "        draft.rename(folder_of(home, number))\n"),
    text(2, "test_what_was_committed_is_searched_before_it_is_published", GENERATION, "if (newest := ledger.newest_passage()) > through:", "if not (newest := through):"),
    text(2, "test_an_index_that_the_disk_has_no_room_for_leaves_the_old_one", PUBLISHING, "    sweep(home, keep=number)\n", ""),
    # 3: the disk is full
    text(3, "test_a_ledger_that_somebody_looks_at_while_it_is_made_is_whole", DATABASE, '                db.execute("PRAGMA synchronous=FULL")\n', '                db.execute("PRAGMA journal_mode=WAL")\n'),
    text(3, "test_a_ledger_that_the_disk_has_no_room_for_is_not_begun", DATABASE, "{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}", "set()"),
    text(3, "test_a_disk_that_takes_no_word_does_not_end_who_writes", LOCK, "    with suppress(OSError):\n", "    if True:\n"),
    text(3, "test_an_index_that_the_disk_has_no_room_for_leaves_the_old_one", PUBLISHING, "        shutil.rmtree(draft, ignore_errors=True)\n        raise StorageError", "        raise StorageError"),
    text(3, "test_a_full_disk_loses_nothing", DATABASE, "{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}", "set()"),
    # 4: two writers
    body(4, "test_one_writer_at_a_time_and_readers_go_on", LOCK, "_lock", "pass"),
    body(4, "test_two_at_once", LOCK, "_lock", "pass"),
    text(4, "test_who_waits_does_not_write_before_the_other_has_ended", LOCK, "        fcntl.flock(handle, fcntl.LOCK_EX)\n", ""),
    text(4, "test_another_writer_is_named_or_waited_for", LOCK, "({holder})", ""),
    body(4, "test_one_writer_at_a_time_and_readers_go_on", LOCK, "writer", 'return path.read_text().strip()'),
    # 5: a damaged index
    body(5, "test_every_damage_is_found_before_the_file_is_used", GENERATION, "_damaged", "return {}"),
    text(5, "test_every_damage_is_found_before_the_file_is_used", GENERATION, '        return "" if sha256(path) == checksum else f"{path} fails its checksum"', '        return ""'),
    text(5, "test_a_damaged_index_is_detected_searched_around_and_repaired", COLLECTION, "rebuild=bool(damaged)", "rebuild=False"),
    # 6: a damaged ledger
    text(6, "test_a_ledger_of_a_newer_program_is_left_alone", DATABASE, "if version not in {*UPGRADES, SCHEMA_VERSION}:", "if False:"),
    body(6, "test_a_page_of_the_ledger_overwritten_is_found_and_nothing_is_written", AUDIT, "damages", "return []"),
    text(6, "test_nonsense_in_the_ledger_is_found", AUDIT, "        elif (passage.place, passage.page) != (mark.label, mark.page):", "        elif False:"),
    text(6, "test_nonsense_in_the_ledger_is_found", DATABASE, "except (ValueError, TypeError, KeyError, zlib.error) as error:", "except ZeroDivisionError as error:"),
    text(6, "test_a_damaged_ledger_is_said_so_and_left_alone", DATABASE, "    if version == 0:\n", "    if False:\n"),
    # 7: another embedder
    body(7, "test_another_embedder_is_refused_even_at_the_same_dimension", INDEX + "fingerprints.py", "require_same", "pass"),
    text(7, "test_another_embedder_is_refused_with_the_names_of_both", INDEX + "fingerprints.py", "    if stored == given:", "    if stored.dimension == given.dimension:"),
    # 8: what changes in a folder
    text(8, "test_clocks_decide_nothing", WALK, '    return f"sha256:{digest.hexdigest()}", size', '    return f"{os.stat(path).st_mtime_ns}:{size}", size'),
    text(8, "test_removed_documents_leave_no_row_and_no_hit", SYNC, "            ledger.drop_file(row.key)\n            ledger.forget(row.version, row.document)\n        ledger.drop_orphans()", "            pass"),
    text(8, "test_add_change_rename_remove", SYNC, "if row is None and entry.version in departed:", "if False:"),
    text(8, "test_any_history_ends_in_the_same_collection", SYNC, "            self._ledger.forget(old.version, old.document)\n", "            pass\n"),
    # 9: the drive is not mounted
    text(9, "test_mass_disappearance_removes_nothing_without_prune", SYNC, "GONE_SHARE = 0.2", "GONE_SHARE = 2"),
    text(9, "test_a_folder_that_is_not_there_any_more_loses_nothing", SYNC, "GONE_SHARE = 0.2", "GONE_SHARE = 2"),
    # 10: what may not be read
    text(10, "test_what_may_not_be_opened_is_told", WALK, "                self.unreadable_dirs.append(folder)\n", "                pass\n"),
    text(10, "test_what_may_not_be_opened_is_told", WALK, "    except PermissionError:\n        problem", "    except ZeroDivisionError:\n        problem"),
    text(10, "test_a_file_that_changes_or_vanishes_after_the_scan_is_not_read", CHILD, "    if f\"sha256:{hashlib.sha256(data).hexdigest()}\" != version:", "    if False:"),
    text(10, "test_a_file_that_cannot_be_opened_now_is_not_forgotten", SYNC, "        if row and row.document is not None and entry.problem:", "        if False:"),
    text(10, "test_links_and_special_files_are_passed_over", WALK, "elif not item.is_file(follow_symlinks=False):", "elif False:"),
    # 11: symbolic links
    text(11, "test_links_and_special_files_are_passed_over", WALK, "if item.is_dir(follow_symlinks=False):", "if item.is_dir():"),
    text(11, "test_links_and_special_files_are_passed_over", WALK, "        if item.is_symlink():\n", "        if False:\n"),
    # 12: many tiny files
    text(12, "test_what_is_embedded_and_published_grows_with_the_files_and_no_faster", SYNC, "CHECKPOINT = 20_000", "CHECKPOINT = 1"),
    text(12, "test_what_is_embedded_and_published_grows_with_the_files_and_no_faster", SYNC, "size, limit, began = 0, FIRST_WINDOW, time.monotonic()", "size, limit, began = 0, 1, 0.0"),
    # 13: very long documents
    text(13, "test_no_text_holds_the_program_up", INDEX + "chunk.py", "{0,4}\\d", "*\\d"),
    text(13, "test_no_text_holds_the_program_up", RUNNING, " if len(line) <= MAX_LENGTH else None", ""),
    text(13, "test_of_five_thousand_pages_the_right_one_is_cited", PDF, "    return Part(text, label, number, State.PICTURE if", "    return Part(text, label, number % 1000, State.PICTURE if"),
    text(13, "test_more_pages_than_are_read_are_named", PDF, "if count > MAX_PAGES and last is None:", "if False:"),
    text(13, "test_a_string_longer_than_pdfium_reads_is_read_whole", PDF, "MAX_STRING = 32_767", "MAX_STRING = 99_999_999"),
    # 14: broken PDFs
    text(14, "test_every_broken_file_ends_in_one_status_and_takes_nobody_along", CHILD, "    except Exception as error:  #", "    except ZeroDivisionError as error:  #"),
    text(14, "test_every_broken_file_ends_in_one_status_and_takes_nobody_along", FALLBACK, "        except Exception as error:  # pypdf", "        except ZeroDivisionError as error:  # pypdf"),
    text(14, "test_what_a_bad_child_gave_is_kept_and_it_is_replaced", ISOLATE, "                if received > self.limits.answer:", "                if False:"),
    text(14, "test_a_page_on_which_pdfium_crashes_is_read_by_pypdf", READING, "        return _Try(page, page, PYPDF)\n", "        return None\n"),
    # 15: bombs
    text(15, "test_memory_is_limited", CHILD, "    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))\n", "    resource.setrlimit(resource.RLIMIT_AS, (8 * memory, 8 * memory))\n"),
    body(15, "test_what_is_no_office_file_or_a_bomb_is_refused", OFFICE, "_is_bomb", "return False"),
    text(15, "test_a_page_that_wants_too_much_is_left_out_at_once", READING, "    gathered.add(Part(\"\", f\"p. {page}\", page, State.COSTLY))\n    gathered.halted = None\n    return _rest(_Try(page, page), gathered)", "    return None"),
    # 16: passwords
    text(16, "test_what_needs_a_password_is_named_and_what_needs_none_is_read", FALLBACK, "                raise needs_password()", "                pass"),
    text(16, "test_what_is_no_office_file_or_a_bomb_is_refused", OFFICE, "            raise needs_password()", "            pass"),
    # 17: scans and garbled layers
    text(17, "test_garbled_pages_give_no_text", PDF, "    doubtful = not raw.strip() or is_garbled(raw)\n    if doubtful or any", "    doubtful = False\n    if doubtful or any"),
    body(17, "test_pages_that_are_pictures_are_named", SOURCES + "ink.py", "besides_text", "return State.BLANK"),
    body(17, "test_text_layers_that_are_no_text_are_found", SOURCES + "garbled.py", "is_garbled", "return False"),
    # 18: names
    body(18, "test_any_file_name_is_read_and_shown_safely", WALK, "shown", 'return os.fsdecode(path)'),
    body(18, "test_no_file_name_reaches_the_terminal_as_it_is", WALK, "shown", 'return os.fsdecode(path)'),
    # 19: the same again
    text(19, "test_a_twin_of_a_locked_file_is_read_itself", INDEX + "embedding.py", "    found = known(list(texts))\n", "    found = {}\n"),
    text(19, "test_identical_bytes_are_stored_once_under_all_paths", SYNC, "        if entry.version and (entry.version in reading or (entry.version in stored and not again)):", "        if False:"),
    text(19, "test_second_sync_changes_nothing", SYNC, "        elif row and row.version == entry.version and not _worth_retrying(row, source.reader):", "        elif False:"),
    # 20: no memory on the GPU
    text(20, "test_texts_are_embedded_in_batches_that_fit", ENCODER + "memory.py", "        batch //= 2", "        raise MemoryError"),
    text(20, "test_no_room_for_one_text_says_what_to_do_and_leaves_nothing", ENCODER + "memory.py", "            traceback.clear_frames(error.__traceback__)  # which hold the batch that was too large\n", "            KEPT.append(error)\n"),
    text(20, "test_out_of_memory_is_answered_with_fewer_passages_and_says_so", WRITING + "prompted.py", "                if shown or (used <= 1 and reserve <= SHORT):\n", "                if True:\n"),
    text(20, "test_out_of_memory_frees_the_cache_while_the_error_is_held", WRITING + "local.py", "            traceback.clear_frames(error.__traceback__)  # which hold the cache that was too large\n        self._release()\n        raise", "            raise"),
    # 21: models
    body(21, "test_weights_with_another_hash_are_refused", ENCODER + "hub.py", "_check_sha256", "pass"),
    body(21, "test_weights_that_are_cut_short", ENCODER + "checkpoint.py", "_tensors", "return {}"),
    body(21, "test_a_hub_out_of_reach_is_reported_soon", ENCODER + "hub.py", "connect", "pass"),
    # 22: Wikipedia
    text(22, "test_what_passes_is_tried_again", WIKI + "http.py", "RETRIES = 3", "RETRIES = 0"),
    text(22, "test_three_retries_with_back_off_and_no_more", WIKI + "http.py", "RETRIES = 3", "RETRIES = 9"),
    text(22, "test_a_redirect_to_another_host_is_refused", WIKI + "http.py", "        if theirs.hostname != ours.hostname or", "        if False and"),
    text(22, "test_an_answer_of_ten_megabytes_is_read_and_one_without_bounds_is_not", WIKI + "http.py", "                if len(body) > LONGEST_ANSWER:\n", "                if False:\n"),
    # 23: questions
    body(23, "test_no_question_is_syntax", INDEX + "words.py", "WordIndex._query", 'return self._index.parse_query(question, ["text"])'),
    body(23, "test_any_question_is_refused_or_can_be_stored_and_shown", ANSWER, "clean_question", "return question"),
    text(23, "test_bad_input_is_one_line_and_an_exit_code", ANSWER, "    if len(question) > MAX_QUESTION:\n", "    if False:\n"),
    # 24: nothing to find
    text(24, "test_vectors_agree_with_exact_search", INDEX + "vectors.py", ' if i >= 0]', ']'),
    text(24, "test_vectors_survive_a_file_and_refuse_what_is_not_finite", INDEX + "vectors.py", "    if not np.isfinite(vectors).all():\n", "    if False:\n"),
    text(24, "test_a_vector_that_is_no_number_is_refused", INDEX + "rows.py", "    if not np.isfinite(vectors).all():\n", "    if False:\n"),
    text(24, "test_vectors_that_are_not_numbers", ENCODER + "embed.py", "    if not np.isfinite(lengths).all():\n", "    if False:\n"),
    body(24, "test_an_empty_folder", SYNC, "require_something", "pass"),
    # 25: orders in documents
    body(25, "test_the_prompt_has_our_turns_and_our_passages_only", WRITING + "prompt.py", "neutral", "return text"),
    body(25, "test_an_obedient_models_answer_is_marked_and_cites_only_what_was_offered", WRITING + "injection.py", "orders", "return []"),
    # 30: evaluations
    text(30, "test_a_line_cut_short_is_asked_again", EVALUATION + "predictions.py", "            self._file.truncate(content.rfind(b\"\\n\") + 1)\n", ""),
    text(30, "test_killed_and_gone_on_with_it_gives_the_same", EVALUATION + "run.py", "answered = {id_ for id_, prediction in done.items() if not prediction.error}", "answered = set()"),
    text(30, "test_a_bad_row_is_reported_with_its_line_and_skipped", EVALUATION + "questions.py", "        except (ValueError, UsageError) as error:", "        except ZeroDivisionError as error:"),
    text(30, "test_a_full_disk_keeps_what_was_answered", EVALUATION + "predictions.py", "            os.fsync(self._file.fileno())\n        except OSError as error:", "            os.fsync(self._file.fileno())\n        except ZeroDivisionError as error:"),
    # 31: settings
    text(31, "test_a_setting_is_called_what_the_user_called_it", "rag/config.py", "        _refuse_misspelt(os.environ)\n", ""),
    text(31, "test_bad_input_is_one_line_and_an_exit_code", "rag/config.py", "    if number < least or (most and number > most):\n", "    if False:\n"),
    text(31, "test_a_setting_is_called_what_the_user_called_it", "rag/config.py", "    if name in _CHOICES and value not in _CHOICES[name]:\n", "    if False:\n"),
    # 32: clocks, read-only disks, signals, closed outputs
    text(32, "test_clocks_decide_nothing", WALK, '    return f"sha256:{digest.hexdigest()}", size', '    return f"{os.stat(path).st_mtime_ns}:{size}", size'),
    text(32, "test_a_read_only_copy_with_a_log_is_read_whole", DATABASE, "    if not (log.exists() and log.stat().st_size):\n", "    if True:\n"),
    text(32, "test_a_read_only_disk_can_be_asked_and_not_written", DATABASE, "        if _kind(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:\n            raise\n", "        raise\n"),
    text(32, STOPPED, CLI, "    signal.signal(signal.SIGTERM, _terminated)\n", ""),
    text(32, STOPPED, "rag/progress.py", "            end.add_note(said)\n", "            pass\n"),
    text(32, "test_a_closed_pipe_is_silent", CLI, "    except BrokenPipeError:  #", "    except ZeroDivisionError:  #"),
]  # fmt: skip
