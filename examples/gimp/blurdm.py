#!/usr/bin/env python3
"""Plug-in for GIMP 3: Filters > Enhance > Remove Motion Blur.

It saves the layer as a PNG, runs `blurdm deblur` on it, and puts the result above the layer. The
layer itself is not changed. docs/export.md says how to install it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gimp, GimpUi, Gio, GLib, GObject  # noqa: E402

NAME = "plug-in-blurdm"


class DeblurError(Exception):
    """The layer cannot be deblurred; the text says why."""


class Blurdm(Gimp.PlugIn):
    """The plug-in, with one procedure."""

    def do_query_procedures(self):
        return [NAME]

    def do_set_i18n(self, name):
        return False

    def do_create_procedure(self, name):
        kind = Gimp.PDBProcType.PLUGIN
        procedure = Gimp.ImageProcedure.new(self, name, kind, self.run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label("Remove _Motion Blur...")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation("Remove motion blur", "Runs blurdm deblur on the layer.", name)
        procedure.set_attribution("The authors of blurdm", "Apache-2.0", "2026")
        about = "Mix of the layer (0) and the restored layer (1)"
        flags = GObject.ParamFlags.READWRITE
        procedure.add_double_argument("strength", "_Strength", about, 0.0, 1.0, 1.0, flags)
        return procedure

    def run(self, procedure, run_mode, image, drawables, config, data):
        if run_mode == Gimp.RunMode.INTERACTIVE and not ask(procedure, config):
            return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
        Gimp.progress_init("Removing motion blur")
        image.undo_group_start()
        try:
            for drawable in drawables:
                deblur(image, drawable, config.get_property("strength"))
        except DeblurError as problem:
            error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), str(problem), 0)
            return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)
        finally:
            image.undo_group_end()
        Gimp.displays_flush()
        return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())


def ask(procedure, config):
    """Show the dialog; False if it was cancelled."""
    GimpUi.init(NAME)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, "Remove Motion Blur")
    dialog.fill(None)
    confirmed = dialog.run()
    dialog.destroy()
    return confirmed


def deblur(image, drawable, strength):
    """Put the restored layer above a layer.

    Raises:
        DeblurError: it is no layer, or blurdm failed.
    """
    if not isinstance(drawable, Gimp.Layer):
        raise DeblurError("Choose a layer, not a mask or a channel")
    with TemporaryDirectory() as folder:
        source, target = (Path(folder) / name for name in ("layer.png", "restored.png"))
        save(image, drawable, source)
        restore(source, target, strength)
        file = Gio.File.new_for_path(str(target))
        restored = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, image, file)
    restored.set_name(f"{drawable.get_name()}, deblurred")
    image.insert_layer(restored, drawable.get_parent(), image.get_item_position(drawable))
    _, left, top = drawable.get_offsets()
    restored.set_offsets(left, top)


def save(image, layer, path):
    """Save one layer alone, in the image's precision and colour profile."""
    size = layer.get_width(), layer.get_height()
    alone = Gimp.Image.new_with_precision(*size, image.get_base_type(), image.get_precision())
    try:
        if image.get_color_profile():
            alone.set_color_profile(image.get_color_profile())
        copy = Gimp.Layer.new_from_drawable(layer, alone)
        alone.insert_layer(copy, None, 0)
        copy.set_offsets(0, 0)
        copy.set_visible(True)
        file = Gio.File.new_for_path(str(path))
        if not Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, alone, file, None):
            raise DeblurError("The layer cannot be saved as PNG")
    finally:
        alone.delete()


def restore(source, target, strength):
    """Run `blurdm deblur` from a file to a file.

    Raises:
        DeblurError: blurdm is not installed or failed.
    """
    command = shutil.which(os.environ.get("BLURDM", "blurdm"))
    if command is None:
        raise DeblurError("The command blurdm is not found: set BLURDM to its path")
    words = [command, "deblur", str(source), "-o", str(target), "--strength", str(strength)]
    private = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")  # an AppImage sets them for GIMP
    environment = {name: value for name, value in os.environ.items() if name not in private}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    if done.returncode or not target.exists():
        raise DeblurError(done.stderr.strip() or f"blurdm ended with code {done.returncode}")


if __name__ == "__main__":
    Gimp.main(Blurdm.__gtype__, sys.argv)
