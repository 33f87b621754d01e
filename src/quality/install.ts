import { pythonWith, type InstallOptions } from "../lake/python.ts";

/** A Python that has Great Expectations. Throws PYTHON_INSTALL_FAILED. */
export function qualityPython(options: InstallOptions): Promise<string> {
  return pythonWith({ name: "quality", title: "Great Expectations", size_mb: 350 }, options);
}
