"""Every table of the whole loop: studies, explanations, rounds, labels, concepts, points.

Revision: 0001, after
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# The ledger says why each point was earned. It is only ever added to, whoever asks: a mistake in
# our own code, or a hand at the prompt, must not be able to change what a player earned.
_REFUSE_CHANGE = """
create function refuse_points_change() returns trigger language plpgsql as $$
begin
    raise exception 'the points ledger is append-only: add an entry that corrects it';
end $$;
create trigger points_entries_append_only before update or delete or truncate on points_entries
    for each statement execute function refuse_points_change();
"""

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("architecture", sa.String(length=100), nullable=False),
        sa.Column("weights", sa.String(length=16), nullable=False),
        sa.Column("description_key", sa.String(), nullable=True),
        sa.Column("weights_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("classes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(weights = 'file') = (description_key is not null)", name=op.f("ck_networks_file")
        ),
        sa.CheckConstraint(
            "weights in ('default', 'random', 'file')", name=op.f("ck_networks_weights")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_networks_fingerprint")),
    )
    op.create_table(
        "players",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('guest', 'simulated')", name=op.f("ck_players_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_players")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_players_token_digest")),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("slug", sa.String(length=120), nullable=False),
        sa.Column("network_id", sa.BigInteger(), nullable=False),
        sa.Column("clusterer", sa.String(length=32), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status in ('computing', 'open', 'closed')", name=op.f("ck_studies_status")
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_studies_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_studies_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_studies_slug")),
    )
    op.create_table(
        "layers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("n_channels", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_layers_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layers")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_layers_study_id_name")),
        sa.UniqueConstraint("study_id", "position", name=op.f("uq_layers_study_id_position")),
    )
    op.create_table(
        "study_classes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("has_new_labels", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_classes_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_classes")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_study_classes_study_id_name")),
        sa.UniqueConstraint(
            "study_id", "position", name=op.f("uq_study_classes_study_id_position")
        ),
    )
    op.create_table(
        "concepts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["study_classes.id"],
            name=op.f("fk_concepts_class_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concepts")),
        sa.UniqueConstraint("class_id", "name", name=op.f("uq_concepts_class_id_name")),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("original_key", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("view_key", sa.String(), nullable=True),
        sa.Column("maps_key", sa.String(), nullable=True),
        sa.Column("target_index", sa.Integer(), nullable=True),
        sa.Column("target_name", sa.String(), nullable=True),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compute_s", sa.Double(), nullable=True),
        sa.Column("made_by", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(status = 'done') = (maps_key is not null)", name=op.f("ck_images_maps")
        ),
        sa.CheckConstraint(
            "(status = 'failed') = (failure is not null)", name=op.f("ck_images_failure")
        ),
        sa.CheckConstraint(
            "status in ('pending', 'done', 'failed')", name=op.f("ck_images_status")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["study_classes.id"], name=op.f("fk_images_class_id")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_images_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("study_id", "sha256", name=op.f("uq_images_study_id_sha256")),
    )
    op.create_index(op.f("ix_images_class_id"), "images", ["class_id"], unique=False)
    op.create_index(
        "ix_images_pending",
        "images",
        ["study_id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "cluster_maps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("array_name", sa.String(length=64), nullable=False),
        sa.Column("is_playable", sa.Boolean(), nullable=False),
        sa.Column("n_finished", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_cluster_maps_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["layer_id"], ["layers.id"], name=op.f("fk_cluster_maps_layer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_cluster_maps_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cluster_maps")),
        sa.UniqueConstraint(
            "image_id", "layer_id", "rank", name=op.f("uq_cluster_maps_image_id_layer_id_rank")
        ),
    )
    op.create_index(
        "ix_cluster_maps_dealing",
        "cluster_maps",
        ["study_id", "n_finished", "weight"],
        unique=False,
    )
    op.create_index(op.f("ix_cluster_maps_layer_id"), "cluster_maps", ["layer_id"], unique=False)
    op.create_table(
        "layer_explanations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=False),
        sa.Column("n_kept", sa.Integer(), nullable=False),
        sa.Column("kept_weight", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_layer_explanations_image_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer_id"],
            ["layers.id"],
            name=op.f("fk_layer_explanations_layer_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_layer_explanations")),
        sa.UniqueConstraint(
            "image_id", "layer_id", name=op.f("uq_layer_explanations_image_id_layer_id")
        ),
    )
    op.create_index(
        op.f("ix_layer_explanations_layer_id"), "layer_explanations", ["layer_id"], unique=False
    )
    op.create_table(
        "local_explanations",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_local_explanations_image_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_local_explanations")),
    )
    op.create_table(
        "concept_scores",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.Column("concept_id", sa.BigInteger(), nullable=False),
        sa.Column("n_given", sa.Integer(), nullable=False),
        sa.Column("mean_reveal_index", sa.Double(), nullable=False),
        sa.Column("any_right", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_concept_scores_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["concept_id"],
            ["concepts.id"],
            name=op.f("fk_concept_scores_concept_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concept_scores")),
        sa.UniqueConstraint(
            "cluster_map_id", "concept_id", name=op.f("uq_concept_scores_cluster_map_id_concept_id")
        ),
    )
    op.create_index(
        op.f("ix_concept_scores_concept_id"), "concept_scores", ["concept_id"], unique=False
    )
    op.create_table(
        "rounds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reveal_index", sa.Integer(), nullable=False),
        sa.Column("guessed_class_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "dealt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'open') = (finished_at is null)", name=op.f("ck_rounds_finished")
        ),
        sa.CheckConstraint(
            "(status in ('won', 'lost')) = (guessed_class_id is not null)",
            name=op.f("ck_rounds_guess"),
        ),
        sa.CheckConstraint(
            "status in ('open', 'won', 'lost', 'resigned')", name=op.f("ck_rounds_status")
        ),
        sa.CheckConstraint("reveal_index between 0 and 5", name=op.f("ck_rounds_reveal_index")),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_rounds_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["guessed_class_id"], ["study_classes.id"], name=op.f("fk_rounds_guessed_class_id")
        ),
        sa.ForeignKeyConstraint(["player_id"], ["players.id"], name=op.f("fk_rounds_player_id")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_rounds_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rounds")),
        sa.UniqueConstraint(
            "player_id", "cluster_map_id", name=op.f("uq_rounds_player_id_cluster_map_id")
        ),
    )
    op.create_index(op.f("ix_rounds_cluster_map_id"), "rounds", ["cluster_map_id"], unique=False)
    op.create_index(
        "uq_rounds_open",
        "rounds",
        ["player_id", "study_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("cluster_map_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=60), nullable=False),
        sa.Column("concept_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["cluster_map_id"],
            ["cluster_maps.id"],
            name=op.f("fk_labels_cluster_map_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["concept_id"], ["concepts.id"], name=op.f("fk_labels_concept_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["rounds.id"], name=op.f("fk_labels_round_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint("round_id", "position", name=op.f("uq_labels_round_id_position")),
    )
    op.create_index("ix_labels_cluster_map_id", "labels", ["cluster_map_id"], unique=False)
    op.create_index(op.f("ix_labels_concept_id"), "labels", ["concept_id"], unique=False)
    op.create_table(
        "points_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.String(length=60), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "reason in ('guess', 'agreement')", name=op.f("ck_points_entries_reason")
        ),
        sa.CheckConstraint("points > 0", name=op.f("ck_points_entries_points")),
        sa.ForeignKeyConstraint(
            ["player_id"], ["players.id"], name=op.f("fk_points_entries_player_id")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["rounds.id"], name=op.f("fk_points_entries_round_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_entries")),
        sa.UniqueConstraint(
            "round_id", "reason", "detail", name=op.f("uq_points_entries_round_id_reason_detail")
        ),
    )
    op.create_index(
        "ix_points_entries_player", "points_entries", ["player_id", "created_at"], unique=False
    )
    op.execute(_REFUSE_CHANGE)


def downgrade() -> None:
    op.execute("drop trigger points_entries_append_only on points_entries")
    op.execute("drop function refuse_points_change()")
    op.drop_index("ix_points_entries_player", table_name="points_entries")
    op.drop_table("points_entries")
    op.drop_index(op.f("ix_labels_concept_id"), table_name="labels")
    op.drop_index("ix_labels_cluster_map_id", table_name="labels")
    op.drop_table("labels")
    op.drop_index(
        "uq_rounds_open", table_name="rounds", postgresql_where=sa.text("status = 'open'")
    )
    op.drop_index(op.f("ix_rounds_cluster_map_id"), table_name="rounds")
    op.drop_table("rounds")
    op.drop_index(op.f("ix_concept_scores_concept_id"), table_name="concept_scores")
    op.drop_table("concept_scores")
    op.drop_table("local_explanations")
    op.drop_index(op.f("ix_layer_explanations_layer_id"), table_name="layer_explanations")
    op.drop_table("layer_explanations")
    op.drop_index(op.f("ix_cluster_maps_layer_id"), table_name="cluster_maps")
    op.drop_index("ix_cluster_maps_dealing", table_name="cluster_maps")
    op.drop_table("cluster_maps")
    op.drop_index(
        "ix_images_pending", table_name="images", postgresql_where=sa.text("status = 'pending'")
    )
    op.drop_index(op.f("ix_images_class_id"), table_name="images")
    op.drop_table("images")
    op.drop_table("concepts")
    op.drop_table("study_classes")
    op.drop_table("layers")
    op.drop_table("studies")
    op.drop_table("players")
    op.drop_table("networks")
