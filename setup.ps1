#Requires -Version 5.1
<#
.SYNOPSIS
  Checks this machine's requirements, prints what to install, and starts Coinlake.
.DESCRIPTION
  ./setup.ps1 [START_OPTION ...]     checks, then `npm start -- START_OPTION ...`
  ./setup.ps1 -Check                 checks only
  ./setup.ps1 -Cluster               Kafka, Spark, MinIO, Hive and Airflow in Docker
  Exit codes: 0 success, 1 the program failed, 2 something is missing or an option is wrong.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
  [switch]$Check,
  [switch]$Cluster,
  [Parameter(ValueFromRemainingArguments = $true)]
  [string[]]$StartOptions = @()
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Set-Location -LiteralPath $PSScriptRoot

$NodeMinimum = 18
$PythonMinimum = [version]'3.10'
$DiskMinimumMB = 3000
$ClusterDiskMinimumMB = 12000

if (($Check -or $Cluster) -and $StartOptions.Count -gt 0) {
  [Console]::Error.WriteLine("error: $($StartOptions[0]) cannot be combined with -Check or -Cluster.")
  exit 2
}

$script:Missing = 0
function Add-Missing([string]$What, [string]$NextStep) {
  [Console]::Error.WriteLine("missing: $What")
  [Console]::Error.WriteLine("         $NextStep")
  $script:Missing += 1
}

function Test-Program([string]$Name) {
  $null -ne (Get-Command -Name $Name -CommandType Application -ErrorAction SilentlyContinue)
}

function Find-Python {
  $candidates = @($env:COINLAKE_PYTHON, 'python3', 'python', 'py') | Where-Object { $_ }
  foreach ($candidate in $candidates) {
    if (-not (Test-Program $candidate)) { continue }
    # Windows has a placeholder for Python that opens the Store; it prints nothing and fails.
    $version = & $candidate -c "import sys; print('%d.%d' % sys.version_info[:2])" 2>$null
    if ($LASTEXITCODE -eq 0 -and $version -and [version]$version -ge $PythonMinimum) { return $candidate }
  }
  return $null
}

if (-not (Test-Program 'node')) {
  Add-Missing "Node.js $NodeMinimum or newer" 'winget install OpenJS.NodeJS.LTS, then open a new terminal'
} else {
  $nodeVersion = [version](& node -p 'process.versions.node')
  if ($nodeVersion.Major -lt $NodeMinimum) {
    Add-Missing "Node.js $NodeMinimum or newer (this is $nodeVersion)" 'winget upgrade OpenJS.NodeJS.LTS'
  }
}
if (-not (Test-Program 'npm')) { Add-Missing 'npm' 'It comes with Node.js: winget install OpenJS.NodeJS.LTS' }
$python = Find-Python
if ($null -eq $python) {
  Add-Missing "Python $PythonMinimum or newer, for dbt" 'winget install Python.Python.3.12, or set COINLAKE_PYTHON to its path'
}
$drive = (Get-Item -LiteralPath $PSScriptRoot).PSDrive
$needMB = if ($Cluster) { $ClusterDiskMinimumMB } else { $DiskMinimumMB }
if ($null -ne $drive -and $null -ne $drive.Free) {
  $freeMB = [math]::Floor($drive.Free / 1048576)
  if ($freeMB -lt $needMB) {
    Add-Missing "disk space: $freeMB MB are free on $($drive.Name):, $needMB MB are needed" 'Free some space, or move this folder to another disk.'
  }
}
if ($Cluster) {
  $hasDocker = $false
  if (Test-Program 'docker') {
    & docker compose version *> $null
    $hasDocker = $LASTEXITCODE -eq 0
  }
  if (-not $hasDocker) {
    Add-Missing 'Docker with Compose' 'winget install Docker.DockerDesktop, start it, then open a new terminal'
  } elseif (-not (Test-Path -LiteralPath '.env')) {
    Add-Missing 'settings of the Docker services in .env' 'Copy-Item .env.example .env, then fill in its empty lines'
  }
}
if ($script:Missing -gt 0) {
  [Console]::Error.WriteLine('')
  [Console]::Error.WriteLine('Install what is missing, then run ./setup.ps1 again.')
  exit 2
}
[Console]::Error.WriteLine("All requirements are met: Node.js $nodeVersion, $(& $python --version).")
if ($Check) { exit 0 }

if ($Cluster) {
  & docker compose up --detach --wait
  if ($LASTEXITCODE -ne 0) { exit 1 }
  [Console]::Error.WriteLine('The cluster is running. Dashboard: http://127.0.0.1:4000   Airflow: http://127.0.0.1:8081   Stop it: docker compose down')
  exit 0
}
& npm start '--' @StartOptions
exit $LASTEXITCODE
