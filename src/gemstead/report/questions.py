"""What only a person can say about a processing, as a file they fill in: typed, every unknown key an error."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gemstead.core.errors import NameUnknown, SettingInvalid
from gemstead.report.words import Language, Words

MAX_FILE_BYTES = 512 * 1024

Line = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")]
"""Text without control characters, but for tabs and new lines."""

Text = Line | None
Lines = Annotated[tuple[Line, ...], Field(max_length=100)]
Rating = Literal["negligible", "limited", "significant", "maximum"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Controller(Part):
    name: Annotated[Text, Words("Name of the controller", "Nom du responsable du traitement")] = None
    contact: Annotated[
        Text,
        Words("Address, telephone and e-mail of the controller", "Coordonnées du responsable du traitement"),
    ] = None
    joint: Annotated[
        Text,
        Words('Joint controllers and their contact, or "none"', "Responsables conjoints et coordonnées, ou « aucun »"),
    ] = None
    representative: Annotated[
        Text,
        Words(
            'Representative in the Union, if the controller is established outside it, or "none"',
            "Représentant dans l'Union si le responsable est établi en dehors, ou « aucun »",
        ),
    ] = None
    dpo: Annotated[
        Text,
        Words(
            'Data protection officer and contact, or "none designated"',
            "Délégué à la protection des données et coordonnées, ou « aucun désigné »",
        ),
    ] = None


class Processing(Part):
    name: Annotated[Text, Words("Name of the processing", "Nom du traitement")] = None
    purposes: Annotated[Lines, Words("Purposes, one each", "Finalités, une par ligne")] = ()
    legal_basis: Annotated[
        Text, Words("Legal basis (GDPR Art. 6) and why", "Base légale (art. 6 du RGPD) et justification")
    ] = None
    data_subjects: Annotated[Lines, Words("Categories of data subjects", "Catégories de personnes concernées")] = ()
    data_categories: Annotated[
        Lines,
        Words(
            "Categories of personal data that people may put into their requests",
            "Catégories de données à caractère personnel susceptibles de figurer dans les requêtes",
        ),
    ] = ()
    special_categories: Annotated[
        Text,
        Words(
            "Special categories (Art. 9) or data on offences (Art. 10): whether, and on which ground",
            "Catégories particulières (art. 9) ou données d'infraction (art. 10) : présence et fondement",
        ),
    ] = None
    recipients: Annotated[
        Lines, Words("Who receives results, inside and outside", "Destinataires des résultats, internes et externes")
    ] = ()
    processors: Annotated[
        Lines,
        Words(
            "Processors (Art. 28): hosting, remote maintenance; each with its contract",
            "Sous-traitants (art. 28) : hébergement, télémaintenance ; chacun avec son contrat",
        ),
    ] = ()
    transfers: Annotated[
        Text,
        Words(
            'Transfers outside the EEA and their safeguards, or "none"',
            "Transferts hors de l'EEE et garanties, ou « aucun »",
        ),
    ] = None
    retention_reason: Annotated[
        Text, Words("Why data is kept for as long as it is", "Justification des durées de conservation")
    ] = None


class Rights(Part):
    notice: Annotated[
        Text,
        Words(
            "Where data subjects are informed (Art. 13, 14), and since when",
            "Support et date de l'information des personnes (art. 13 et 14)",
        ),
    ] = None
    exercise: Annotated[
        Text,
        Words(
            "How data subjects exercise their rights (Art. 15 to 22), and who answers",
            "Modalités d'exercice des droits (art. 15 à 22) et service chargé d'y répondre",
        ),
    ] = None
    automated_decisions: Annotated[
        Text,
        Words(
            "Whether answers decide about people without a human (Art. 22)",
            "Décisions individuelles entièrement automatisées (art. 22) : présence et garanties",
        ),
    ] = None


class Measures(Part):
    premises: Annotated[
        Text, Words("Who gets into the room with the machine", "Contrôle d'accès physique au local de la machine")
    ] = None
    disk_encryption: Annotated[Text, Words("How the disks are encrypted", "Mode de chiffrement des disques")] = None
    backups: Annotated[
        Text,
        Words(
            "Where backups lie, who can read them, when a restore was last tried",
            "Lieu des sauvegardes, personnes y ayant accès, date du dernier essai de restauration",
        ),
    ] = None
    patching: Annotated[
        Text,
        Words("Who updates system and gemstead, and how soon", "Mises à jour du système et de gemstead : qui, délai"),
    ] = None
    staff: Annotated[
        Text,
        Words("Who administers it, bound to confidentiality how", "Administrateurs et engagement de confidentialité"),
    ] = None
    incidents: Annotated[
        Text,
        Words(
            "Who handles incidents, and the way to the supervisory authority within 72 hours (Art. 33)",
            "Gestion des incidents et circuit de notification à l'autorité de contrôle sous 72 heures (art. 33)",
        ),
    ] = None


class Assessment(Part):
    need: Annotated[
        Text,
        Words(
            "Whether an assessment is required (Art. 35(1), (3); list of the authority), and why",
            "Nécessité d'une AIPD (art. 35, § 1 et 3 ; liste de l'autorité) et justification",
        ),
    ] = None
    necessity: Annotated[
        Text,
        Words(
            "Why the processing is necessary for its purposes, and what less would do",
            "Nécessité du traitement au regard des finalités et solutions moins intrusives écartées",
        ),
    ] = None
    proportionality: Annotated[
        Text,
        Words(
            "Why the data is adequate, relevant and limited to what is needed",
            "Caractère adéquat, pertinent et limité des données",
        ),
    ] = None
    views: Annotated[
        Text,
        Words(
            "Views of data subjects or their representatives (Art. 35(9)), or why they were not sought",
            "Avis des personnes concernées ou de leurs représentants (art. 35, § 9), ou motif de leur absence",
        ),
    ] = None
    access_severity: Annotated[Rating | None, Words("Illegitimate access: severity", "Accès illégitime : gravité")] = (
        None
    )
    access_likelihood: Annotated[
        Rating | None, Words("Illegitimate access: likelihood", "Accès illégitime : vraisemblance")
    ] = None
    change_severity: Annotated[
        Rating | None, Words("Unwanted change: severity", "Modification non désirée : gravité")
    ] = None
    change_likelihood: Annotated[
        Rating | None, Words("Unwanted change: likelihood", "Modification non désirée : vraisemblance")
    ] = None
    loss_severity: Annotated[Rating | None, Words("Loss of data: severity", "Disparition : gravité")] = None
    loss_likelihood: Annotated[Rating | None, Words("Loss of data: likelihood", "Disparition : vraisemblance")] = None
    impacts: Annotated[
        Text,
        Words(
            "What each of the three would mean for the people concerned",
            "Impacts potentiels de chacun de ces trois événements sur les personnes concernées",
        ),
    ] = None
    model_check: Annotated[
        Text,
        Words(
            "What was checked about the lawfulness of the model's own training (EDPB Opinion 28/2024)",
            "Vérifications faites sur la licéité du développement du modèle (avis 28/2024 du CEPD)",
        ),
    ] = None
    dpo_opinion: Annotated[
        Text,
        Words(
            "Advice of the data protection officer (Art. 35(2))",
            "Avis du délégué à la protection des données (art. 35, § 2)",
        ),
    ] = None
    decision: Annotated[
        Text,
        Words(
            "Decision: who accepted the remaining risks, and when",
            "Décision : qui a accepté les risques résiduels, et quand",
        ),
    ] = None


class Use(Part):
    need: Annotated[Lines, Words("The concrete needs it is used for", "Besoins concrets auxquels l'outil répond")] = ()
    allowed: Annotated[Lines, Words("Uses that are allowed", "Usages autorisés")] = ()
    forbidden: Annotated[
        Lines, Words("Uses and inputs that are forbidden", "Usages interdits et données à ne pas saisir")
    ] = ()
    charter: Annotated[
        Text,
        Words(
            "The charter users have accepted: version, date, where",
            "Charte acceptée par les utilisateurs : version, date, lieu",
        ),
    ] = None
    training: Annotated[
        Text,
        Words("How users are trained (AI Act Art. 4)", "Formation des utilisateurs (art. 4 du règlement sur l'IA)"),
    ] = None
    human_review: Annotated[
        Text, Words("Who checks answers before they are used", "Vérification humaine des réponses avant usage")
    ] = None
    governance: Annotated[
        Text,
        Words(
            "Who decides about new uses, and how the DPO takes part", "Gouvernance des nouveaux usages et place du DPO"
        ),
    ] = None
    role: Annotated[
        Literal["provider", "deployer", "both"] | None,
        Words(
            "Your role under the AI Act for this system: provider, deployer or both",
            "Votre rôle selon le règlement sur l'IA : provider (fournisseur), deployer (déployeur) ou both (les deux)",
        ),
    ] = None
    classification: Annotated[
        Text,
        Words(
            "Whether a use is prohibited (Art. 5) or high-risk (Art. 6, Annex III), and why not",
            "Usages interdits (art. 5) ou à haut risque (art. 6, annexe III) : analyse",
        ),
    ] = None
    disclosure: Annotated[
        Text,
        Words(
            "How people learn that they talk to an AI (Art. 50(1))",
            "Manière dont les personnes apprennent qu'elles s'adressent à une IA (art. 50, § 1)",
        ),
    ] = None
    marking: Annotated[
        Text,
        Words(
            "How generated text that is published is marked and labelled (Art. 50(2), (4))",
            "Marquage et étiquetage des contenus générés qui sont diffusés (art. 50, § 2 et 4)",
        ),
    ] = None


class IncidentNote(Part):
    on: Annotated[str, Field(max_length=40)]
    what: Line
    assessment: Text = None
    notified: Text = None


class Questionnaire(Part):
    controller: Controller = Controller()
    processing: Processing = Processing()
    rights: Rights = Rights()
    measures: Measures = Measures()
    assessment: Assessment = Assessment()
    use: Use = Use()
    incidents: Annotated[tuple[IncidentNote, ...], Field(max_length=500)] = ()


class Question(msgspec.Struct, frozen=True):
    """`name` as in the file ("controller.name"); `answer` empty: open."""

    name: str
    ask: Words
    answer: str | tuple[str, ...]
    is_list: bool
    choices: tuple[str, ...] = ()


class Answers(msgspec.Struct, frozen=True):
    """`where` is the file, `at_s` when it was last changed (seconds since 1970)."""

    questionnaire: Questionnaire
    where: str
    at_s: float

    def questions(self) -> Iterator[Question]:
        """All, in the order of the file."""
        for section, part in self._sections():
            for name, field in type(part).model_fields.items():
                ask = next(one for one in field.metadata if isinstance(one, Words))
                value = getattr(part, name)
                yield Question(
                    f"{section}.{name}", ask, value or "", isinstance(value, tuple), _choices(field.annotation)
                )

    def question(self, name: str) -> Question:
        """Raises: KeyError for a name that is none."""
        for one in self.questions():
            if one.name == name:
                return one
        raise KeyError(name)

    def _sections(self) -> Iterator[tuple[str, Part]]:
        for name in Questionnaire.model_fields:
            if isinstance(part := getattr(self.questionnaire, name), Part):
                yield name, part


NO_ANSWERS = Answers(Questionnaire(), "", 0.0)


def read_answers(path: Path) -> Answers:
    """Raises: SettingInvalid for a file that is missing, too large or broken; NameUnknown for a key that is none."""
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        at_s = path.stat().st_mtime
    except OSError as exc:
        raise SettingInvalid(
            f"the questionnaire {path} cannot be read: {exc.strerror}", hint="gemstead report questions writes one"
        ) from exc
    return Answers(parse_answers(content, str(path)), str(path), at_s)


def parse_answers(content: bytes, name: str = "report.toml") -> Questionnaire:
    """Raises: as `read_answers`."""
    if len(content) > MAX_FILE_BYTES:
        raise SettingInvalid(f"the questionnaire {name} is larger than {MAX_FILE_BYTES} bytes")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise SettingInvalid(f"the questionnaire {name} is not UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingInvalid(f"the questionnaire {name} is no TOML: {exc}") from exc
    _check_names(table, name)
    try:
        return Questionnaire.model_validate(table)
    except ValidationError as exc:
        found = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise SettingInvalid(f"{name}: {place}: {found['msg']}", hint="gemstead report questions --dry-run") from exc


def as_toml(answers: Answers, language: Language) -> str:
    """The whole file: each question as a comment, with its answer, or to be filled in."""
    lines = list(_PREFACE[language])
    section = ""
    for one in answers.questions():
        head, _, key = one.name.partition(".")
        if head != section:
            lines += ["", f"[{head}]"]
            section = head
        lines.append(f"# {one.ask.of(language)}")
        if one.choices:
            lines.append(f"# {' | '.join(one.choices)}")
        lines.append(f"{key} = {_toml(one.answer)}" if one.answer else f"# {key} = {'[]' if one.is_list else _EMPTY}")
    for note in answers.questionnaire.incidents:
        lines += ["", "[[incidents]]"]
        lines += [f"{name} = {_toml(value)}" for name, value in note if value is not None]
    return "\n".join([*lines, "", *_INCIDENTS[language], ""])


_EMPTY = '""'

_PREFACE = {
    "en": (
        "# What only a person can say about this installation. gemstead report reads it and never writes to it.",
        "# An answer that is left out stays marked OPEN in the documents. Answers are printed as they stand, in every",
        '# language. Lists: ["one", "another"].',
    ),
    "fr": (
        "# Ce que seule une personne peut dire de cette installation. gemstead report lit ce fichier sans y écrire.",
        "# Une réponse absente reste marquée À COMPLÉTER dans les documents. Les réponses y sont reprises telles",
        '# quelles, dans toutes les langues. Listes : ["un", "autre"].',
    ),
}

_INCIDENTS = {
    "en": (
        "# Incidents people noticed, or what they decided about one in the log; one block each:",
        "# [[incidents]]",
        '# on = "2026-11-24"',
        '# what = ""',
        '# assessment = "" # risk to people, and why',
        '# notified = "" # authority, people concerned; when',
    ),
    "fr": (
        "# Incidents constatés par des personnes, ou décision prise sur un incident du journal ; un bloc pour chacun :",
        "# [[incidents]]",
        '# on = "2026-11-24"',
        '# what = ""',
        '# assessment = "" # risque pour les personnes, et pourquoi',
        '# notified = "" # autorité, personnes concernées ; quand',
    ),
}


def _check_names(table: dict[str, Any], file: str) -> None:
    """The nearest valid name is worth more than what a validator says of an extra key."""
    known = [one.name for one in NO_ANSWERS.questions()]
    sections = {name.partition(".")[0] for name in known} | {"incidents"}
    for section, value in table.items():
        if section not in sections:
            raise NameUnknown(f"section in {file}", section, sorted(sections))
        for name in value if isinstance(value, dict) else ():
            if f"{section}.{name}" not in known:
                raise NameUnknown(f"question in {file}", f"{section}.{name}", known)


def _choices(annotation: Any) -> tuple[str, ...]:
    """The words of a Literal, which may be one of several types."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((words for one in get_args(annotation) if (words := _choices(one))), ())


def _toml(value: str | tuple[str, ...]) -> str:
    """JSON's strings are TOML's where there is no DEL, and answers have none."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
