"""festkit: the FEST framework for infrared small target (SIRST) detection.

Public names are looked up lazily, so that ``import festkit`` pulls in neither torch nor matplotlib.

Example:
    >>> import festkit as fk
    >>> "ACM" in fk.list_backbones()
    True
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {  # and in __init__.pyi, for type checkers
    "_errors": [
        "BusyError",
        "ExistingFileError",
        "FestkitError",
        "InputError",
        "InputTypeError",
        "MemoryLimitError",
        "MissingFileError",
        "MissingPackageError",
        "NumericalError",
        "ProcessError",
    ],
    "_parameters": ["check_notebook"],
    "backbones": ["backbone_card", "create_backbone", "list_backbones"],
    "losses": [
        "BCELoss",
        "DMLoss",
        "DiceLoss",
        "EEDMLoss",
        "EELoss",
        "SoftIoULoss",
        "create_loss",
        "edge_map",
        "eedm_loss",
        "hard_mining",
    ],
    "sensitivity": ["Detection", "Target", "adjust_sensitivity"],
    "fusion": ["fuse", "resize_map"],
    "metrics": [
        "Counts",
        "TargetCounts",
        "confidence_intervals",
        "count",
        "count_targets",
        "evaluate",
        "evaluate_images",
    ],
    "surface": ["OperatingPoint", "ROC", "ThresholdSurface", "roc", "threshold_surface"],
    "data": [
        "Dataset",
        "Sample",
        "check_dataset",
        "list_datasets",
        "load_dataset",
        "split_dataset",
    ],
    "targets": ["TargetFigures", "measure_targets"],
    "scenes": ["make_scene", "make_synthetic_dataset"],
    "weights": ["Imported", "import_state_dict", "load_weights", "save_weights"],
    "maps": ["RunMaps", "greedy_fusion", "hardest_images", "open_maps"],
    "training": ["Run", "TrainConfig", "train"],
    "fest": ["FEST"],
    "inference": ["ImagesLeftOut", "open_fest", "predict_images", "read_image", "tiled_maps"],
    "experiments": ["Training", "make_scenes", "table_trainings", "train_all", "training_config"],
    "jobs": ["Job", "Outcome", "Output", "run_job", "run_jobs", "run_notebook"],
    "planning": ["plan_jobs"],
    "results": [
        "compare_with_paper",
        "describe_runs",
        "list_paper_tables",
        "load_results",
        "open_rows",
        "paper_table",
        "render_table",
        "save_paper_results",
        "save_results",
        "save_table",
        "scheme_table",
        "summary_table",
    ],
    "plots": [
        "plot_compared",
        "plot_detections",
        "plot_history",
        "plot_roc",
        "plot_samples",
        "plot_sensitivity",
        "plot_surface",
        "plot_targets",
        "show",
        "show_strips",
    ],
    "tuner": ["ThresholdTuner"],
}
_ROOM_OF = {name: room for room, names in _PUBLIC.items() for name in names}

__all__ = list(_ROOM_OF)


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'festkit' has no attribute {name!r}")
    return getattr(import_module(f"festkit.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
