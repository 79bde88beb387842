"""A prediction that `local/waifu2x` made, whole with its pictures.

Data only.
"""

from __future__ import annotations

from typing import Any

EXAMPLE: dict[str, Any] = {
    "id": "rpq2tuevhnxf3mngbvldlf5d2e",
    "input": {
        "image": (
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABQAAAAUBAMAAAB/pwA+AAAAMFBMVEX////m"
            "6On/1DvqylbbuTrPrzq5u7iqlDmUk4KAe1thXD5PTz43PkIpMjooMDcfKTcGn0YqAAAAuklEQVR42lXPry"
            "+EYQDA8c/zvPZuduX9A252nrmk0CVVsdsEgkk3xYZke8vbLvkLXNDQVIXmBEG4YJJGUBS/3rNXEu6bPvXL"
            "dP3+v46b5rsA7VFvobwlE+57r824Nf8Qte7g/EBUVV169ZNoze56NjAuYj6n6MTM5f6MX8OX+sJEyN+WwO"
            "xGFHWIMvEnc8SW5WdO0vao/ExDtA9TebXa/RDk74tYSRX2zlLa/ALhpr6e7BAQBh5Pp17+AKV9MIHmfE20"
            "AAAAAElFTkSuQmCC"
        ),
        "style": "art",
    },
    "logs": (
        "The image is a PNG of 20x20 pixels.\n"
        "Upscaling on the CPU.\n"
        "100%\n"
        "Made 40x40 pixels in 0.0 s.\n"
    ),
    "metrics": {"image_count": 1, "total_time": 0.213256, "predict_time": 0.211757},
    "created_at": "2026-11-25T18:40:24.920978Z",
    "started_at": "2026-11-25T18:40:24.922477Z",
    "completed_at": "2026-11-25T18:40:25.134234Z",
    "output": (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACgAAAAoCAIAAAADnC86AAALCklEQVR4nI1Y"
        "e5BVxZn/fd19zrmveT9ghteIAQVMsVq6qaiYjUp8YBajErNqgstDYS0DwayCGqNUlFQsY5Iqw6KAGoxBYw"
        "xREFdjkBiD7kriaqKIDxiewzDvmTvnnkd/3/5x7p25DOJuV91bfft296+/Z//6IxERAZFACAQAgKDU+382"
        "ERAlHSZSpT0k6QhARCN2VYAQZHgDSf4XDA0WG38GMAlDkvnDZ0/6SUdEBMlXcYxEygFOJOvx48k5LOAcJ7"
        "1QSXxBogkqjWNIryTCxR8iKE06EXDA/Y+sXrNp89ZxYyY2N48OLB86eOhQ28HZsy5dtOD6dLr6U1clkAIq"
        "aQVUJvGQmT61+e+/t+OBh9Zv3/bXyGZ7/VgA1+SY4bkSccH3/ZSKz5k+/vLLJ836yuUN42eOwAcEQkRSOg"
        "tRUe/0GQ7VceO8q5/a+FqkGuubT3Y8q2zoudoYRcpG1jGgvsjt6rOa+ysyH089qfG6678z+/J5Gc89XnxJ"
        "ZCyZ/TjM0tDvt//um9cuautOuQ0TzpjkTB/XVmf8c86oPPesqsosIQ7CQezer7e907m/0/nT7szuj7JVub"
        "ynBy699KKlixePHTvxRGYjET6RrI8+sW7houXWm3DyxNE/vrHlsjN2K09Q4SAMEfsQC9bQCtoCFYglGqTt"
        "H3iPb/Jff7fTCo0b07Dq7ltnzDj/OLWXAx8TC2DB6jU/u/WO+wbjMeed27BpeVTT1I9AweSAELEFGEjiVY"
        "MISmAVVARlozC35Y+yckPvvjZpGVv34A9vmTHjok/BZuaS9wNgkAKw7tHHFy+7M5LsBRdN3HJL7FV0givE"
        "WoJACZA4IhWtJsVDCMMKKwVlUm/8XZY+0PduazT9c2OffeqR0U1jRmqbRYYUzWGkXOf17VtmXjnfL1TPvu"
        "zkZ24LjNMHeOAIpKB1UT3CRX9M4pAFEIiC0hAICCra+VHqW7cf2NMm37jq4jUP/dQ1qhxblZtXGQLCa+fd"
        "7Ad1sy6YsPG7ZPRRWIOYodOAayEQCwiIAQGSvkADEkMpaAZpUobEPfNU/vHtE1qaqp99/sUNTzx2rMRSfg"
        "qG6l+ydGFrr550StPG2yWVbYfKQhkhHgh79rfHOrCIQzAVDQyCECyDNCS7tzOQOA/lw8YQQRxfeFrhG/88"
        "viqT+v73b35565PDNhaUA6sPd/7l4V9tg669d0FlrrEHkQYZEAoRrd/kXfLvhXUvgSUFFSBOLF1cCDG/fE"
        "VdvITuXitAGsIAA9o4ds4F2UgRi/Oz1Q8kiZYAEKnyy2D1E5sKfYXp0/Jzzu5DQYMMJAZF+/ZV3bsx7sk7"
        "q35lH3ulAAqhFUSDBSQg23qEVj7e29mvHn4u/ds3q+EBwmAG26kTetz0AFFT+1F7qKMDpehRQzEUR8G2HX"
        "/LVFRfML0SihF5xdQa5Z96KxVHTmUWLqpW/bKyrbsZFCBJecKwdfdvOFKwUpWLY+HHNvfZkIv64BT0wQWz"
        "mrv8VEc/vfjy1mH1DvXWrd/Q3Z2vrqurSvXAM4At2TF3tJ2rc6EmThn29diP25uF3aKh2PRG9e9+6DsoGF"
        "FGm/2Hu5KYBBhKEOHWq3Qm6w7GtPbh+znoKAeOgOC5LS/6QZDycM60RsggtIEikIHHp0wKA07nA4rEb6ik"
        "U0YHRaeGhqJs1YHLvjwliMKY0ed3nzahQjsulIYikCB0vGzh9ClOGGfbDh2NC4eTlQmwA3g1tbWiPUfhvC"
        "kEFlBc8n216Hz/vDMG9ofmwKC+9Mx99bX74FokpELExANLZg9MmdR4OM81lfLtqxXAxeAWQAhx/IWpKU2q"
        "MpOD4yQuZoZUPXpUrWPcyiw7mQKYIBZQAMcBm6y/dlHmi+OqCxLe8NXDgAd2oQkgCINdNx08uKDuJxv2zb"
        "2y8sxpQMSiiIRBADSsO2aU4bBfmUqRolcNA9s4ch0dcwQYQIEYZMCRUVoiylTipiu6lTbQKcQuRAGcECph"
        "S0ZNm9y3ZkVaGYOQwULExZglQIkonTFuxL7SXK5qABgYLDgSdPeHtgDoCAKwBQQG5BqQUi5gGOSBFJQMkR"
        "bSCkIAlOfBjSGDUAxYkCrOkXjPvpAti4SECNDlwNLd0+sYLWH43h4FrcBcJEMxQTQcAUVgAQg22Y6KFBIK"
        "pIoUJkVxxOAkqyTJXEE773zkM5ijAe14w17NbAGece7Znf39PQG9/u4AlAEpkICUaG/b//i/3dIdRwxTQr"
        "UWzICCEBTAyQ3Bf34tv3lHtU3IcsJZLUeRPtShMlmHYyZdMQQsigDom2+cS8bPF/C3gxpBCDhgBSEyeOHt"
        "uitW1d30U8PQ0MyWwBqiAAWlAQKi2LMft8Zfu2dw5ZNKgUECRVAGinfutn7BDbi3aXQz0FQWx6QBKJM9+/"
        "TPZWzw35/UBn05UFQ0QtB+ak1XNjYPP1c9c0nUF2VVpYWjoXJQaRCDOR+nXnhVzV7e1d7WcFJTgVIpWAsW"
        "xCEceX5Hjn0K494FC244JnNJkY7LVRdPq8+07/4k3LFnLIwvILDAq/nahebKL7ci6P3DX5tP/9fBLX9wrL"
        "hIx0DY0R2/9JaZ/wO77EEc6KofM9a/83oNEJQHFlBQiEe9uat2sNDVVOV+/V+uQdHXYYCEfxOAmRfPembj"
        "M699cHTtC43nTqo2Xj+Q5kJUW+0+clf9jOm9dz3a80nruMu+553V0nrJP0Zism9/lHtrF1uqCeKeqS39Dy"
        "5Lnz6+AD9VugH01jfq9x7284X2b14311G5oidDjiF7Amx6ev33Vj3Q5eceW9b0lRl7ENUkWQSuwNiBNtmw"
        "Lb/ymbq2vUYhrR0/Cmy2ITd5nHvFF1oXfrViVIOFT2wjGCiXDx7JzftReucHvSc19L/66rZsuqaEQyOeMO"
        "jrG7j3hyt+8fTOimz+6bur/2FyDHbAcfGR4VhQD2jUSzvp7Xe6TSTjTm76/OSmcWM7sm4f8omrE9tIuVIY"
        "CJY8knr2P+N0auCJdT8570uXlAPR8GuxJHfr3r/PW3jbf73fdtKY+Df3VE6aoBBHIF2MSwEUQ8Ii6aEUbB"
        "qOghQksEQCCWEk9mn5+srHX5YK7lxx69ULF98G6DJWT6rEI4a514SWaT+457unjq/55ABdeEv787+PxWq4"
        "GkZDCKTACnChU1ApMAAfcYBYyAhUDOMe7Khf/FBhzdYeE/d956Z/Wrh4UXmmkiT7lJ4wGNHe+NOrS1es3L"
        "X3QHNN1SXnVM+f6UydzFA9AEE0mIvEVrsggCNwAboqH7Zs3lnxH785+Pb7++u88N9uuHDpsjsU1ZUgh0Uc"
        "aePy1nZk//I773tp++uuMUgZJ+r99hWN82frTCqAKBAhigGCUhzym7vczX+p+POuioNHBo4c3ddYISuWfH"
        "3e/AVQo0pYJWD5v4AT/1uzfu39993RnRcnO0Yi18m6Z03JffG0XMtYP2D13of4YH/YegCdXQN+LMYO5PMd"
        "p02ZeN9dt33p/IsAJ6k0lOm0iE4sMjx8gifjKy//+qGfr/5wb7/vBz35aLAAESJLVRldQF7DVdr1Ukppqq"
        "10r7t2ztxvza2vrsexSAKhIRnpuHD6jNbd1//c7zY99eTqI0cPZjKe8RpjGwSDvUZipVOZ2pY5c6655uor"
        "s6l0GSSVSTMMO6zqoQ992ut8uLoA9PYc5sEu0dpzXVgrYsVouOmK7KjjyxLD4kqxKDJU4BmWeKjqQlReHh"
        "hxagAMEDgWtkQC7QGS3O0nQB3RRgDLsRNHhHb5VsVKRrF+Q0odP6scuChqot2yktb/Akd3x1jArH+mAAAA"
        "AElFTkSuQmCC"
    ),
}
