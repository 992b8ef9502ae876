import subprocess
import sys


def test_help_and_version_import_neither_torch_nor_numpy_nor_opencv() -> None:
    script = (
        "import sys; from blurdm_cli.commands.app import app\n"
        "for words in (['--help'], ['deblur', '--help'], ['--version']):\n"
        "    app(words, standalone_mode=False)\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
